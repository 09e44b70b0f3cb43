//! Decides who scrapes what: no I/O, no clock but that of what it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Owned, Wishes};
use crate::store::{LeaseChanges, LeaseView};

/// Targets that change hands in one round, so that a collector that joins is not buried.
const GIVEN_PER_ROUND_MAX: usize = 500;
/// Rounds for which the same collectors must have been there before targets change hands.
const CALM_ROUNDS: u32 = 2;
/// A collector that was given a target and left it does not know it; it is not offered it again for this long.
const DECLINED_FOR: Duration = Duration::from_secs(60);

/// A target that this collector would scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub interval: Duration,
    /// It is connected to this collector: nobody else may know it, and nobody knows it better.
    pub is_own: bool,
    /// For the answers of the other collectors.
    pub described: Arc<str>,
}

/// What one round changes, and what is owned after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub changes: LeaseChanges,
    pub owned: Owned,
}

/// Remembers what was seen in the rounds before.
pub struct Decider {
    me: Arc<str>,
    alive: Vec<Arc<str>>,
    calm: u32,
    /// Targets that somebody else should take, seen without an owner in the last round.
    unclaimed: Owned,
    given: HashMap<Arc<str>, Arc<str>>,
    declined: HashMap<(Arc<str>, Arc<str>), Instant>,
}

impl Decider {
    pub fn new(me: Arc<str>) -> Self {
        Self { me, alive: Vec::new(), calm: 0, unclaimed: Owned::new(), given: HashMap::new(), declined: HashMap::new() }
    }

    pub fn decide(&mut self, view: &LeaseView, wishes: &Wishes) -> Decision {
        self.calm = if self.alive == view.alive { self.calm + 1 } else { 0 };
        self.alive.clone_from(&view.alive);
        self.declined.retain(|_, until| view.read_at < *until);
        self.given.retain(|key, _| wishes.contains_key(key));
        let mut decision = Decision::default();
        let mut unclaimed = Owned::new();
        for (key, wish) in wishes {
            let owner = view.owners.get(key).filter(|owner| self.alive.contains(owner));
            match owner {
                Some(owner) if *owner == self.me => self.keep_or_give(key, wish, view, &mut decision),
                Some(_) => {}
                None => {
                    if self.takes(key, wish, view) {
                        decision.changes.claimed.push((key.clone(), wish.described.to_string()));
                        decision.owned.insert(key.clone());
                    } else {
                        unclaimed.insert(key.clone());
                    }
                }
            }
        }
        self.unclaimed = unclaimed;
        let mine = view.owners.iter().filter(|(_, owner)| **owner == self.me).map(|(key, _)| key);
        decision.changes.freed = mine.filter(|key| !wishes.contains_key(*key)).cloned().collect();
        decision
    }

    fn keep_or_give(&mut self, key: &Arc<str>, wish: &Wish, view: &LeaseView, decision: &mut Decision) {
        if let Some(other) = self.given.remove(key) {
            // It came back.
            self.declined.insert((key.clone(), other), view.read_at + DECLINED_FOR);
        }
        let preferred = self.preferred(key);
        let may_give = !wish.is_own && self.calm >= CALM_ROUNDS && decision.changes.given.len() < GIVEN_PER_ROUND_MAX;
        if may_give && preferred != self.me {
            self.given.insert(key.clone(), preferred.clone());
            decision.changes.given.push((key.clone(), preferred));
        } else {
            decision.owned.insert(key.clone());
        }
    }

    /// Whether to take a target that nobody scrapes: at once, or a round later when somebody else should.
    fn takes(&mut self, key: &Arc<str>, wish: &Wish, view: &LeaseView) -> bool {
        if let Some(other) = self.given.remove(key) {
            self.declined.insert((key.clone(), other), view.read_at + DECLINED_FOR);
            return true;
        }
        wish.is_own || self.unclaimed.contains(key) || self.preferred(key) == self.me
    }

    /// The collector with the highest hash together with the key (rendezvous): of the targets only those of a collector
    /// that comes or goes change hands.
    fn preferred(&self, key: &Arc<str>) -> Arc<str> {
        let willing = self.alive.iter().filter(|other| !self.declined.contains_key(&(key.clone(), (*other).clone())));
        willing.max_by_key(|other| hash(other, key)).unwrap_or(&self.me).clone()
    }
}

fn hash(collector_id: &str, key: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(collector_id.as_bytes()).update(&[0]).update(key.as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database and its collectors, in which rounds are made one after the other.
    struct World {
        now: Instant,
        owners: HashMap<Arc<str>, Arc<str>>,
        alive: Vec<Arc<str>>,
        deciders: HashMap<Arc<str>, Decider>,
    }

    impl World {
        fn new(names: &[&str]) -> Self {
            let mut world = Self { now: Instant::now(), owners: HashMap::new(), alive: Vec::new(), deciders: HashMap::new() };
            names.iter().for_each(|name| world.join(name));
            world
        }

        fn join(&mut self, name: &str) {
            let name: Arc<str> = name.into();
            self.alive.push(name.clone());
            self.alive.sort();
            self.deciders.insert(name.clone(), Decider::new(name));
        }

        fn kill(&mut self, name: &str) {
            self.alive.retain(|known| &**known != name);
            self.deciders.remove(name);
        }

        fn round(&mut self, name: &str, wishes: &Wishes) -> Owned {
            self.now += Duration::from_secs(1);
            let view = LeaseView { database_ms: 0, read_at: self.now, alive: self.alive.clone(), owners: self.owners.clone() };
            let decision = self.deciders.get_mut(name).unwrap().decide(&view, wishes);
            for (key, _) in decision.changes.claimed {
                self.owners.insert(key, name.into());
            }
            self.owners.extend(decision.changes.given);
            for key in decision.changes.freed {
                self.owners.remove(&key);
            }
            decision.owned
        }
    }

    fn wishes(count: usize, is_own: bool) -> Wishes {
        let wish = Wish { interval: Duration::from_secs(15), is_own, described: "".into() };
        (0..count).map(|number| (format!("http://10.0.0.{number}/m").into(), wish.clone())).collect()
    }

    #[test]
    fn one_alone_takes_everything_at_once() {
        let mut world = World::new(&["a"]);
        assert_eq!(world.round("a", &wishes(100, false)).len(), 100);
    }

    #[test]
    fn targets_are_shared_and_each_has_one_owner() {
        let (mut world, all) = (World::new(&["a", "b", "c"]), wishes(300, false));
        let mut owned: HashMap<&str, Owned> = HashMap::new();
        for _ in 0..6 {
            for name in ["a", "b", "c"] {
                owned.insert(name, world.round(name, &all));
            }
        }
        let counts: Vec<usize> = owned.values().map(Owned::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 300);
        assert!(counts.iter().all(|count| (70..130).contains(count)), "{counts:?}");
    }

    #[test]
    fn targets_of_one_that_is_gone_are_taken_in_the_next_round() {
        let (mut world, all) = (World::new(&["a", "b"]), wishes(100, false));
        for _ in 0..6 {
            world.round("a", &all);
            world.round("b", &all);
        }
        world.kill("a");
        assert_eq!(world.round("b", &all).len(), 100);
    }

    #[test]
    fn one_that_joins_gets_its_share_when_it_is_calm() {
        let (mut world, all) = (World::new(&["a"]), wishes(100, false));
        assert_eq!(world.round("a", &all).len(), 100);
        world.join("b");
        assert_eq!(world.round("a", &all).len(), 100, "it has only just come");
        for _ in 0..3 {
            world.round("b", &all);
            world.round("a", &all);
        }
        let (a, b) = (world.round("a", &all).len(), world.round("b", &all).len());
        assert!(a + b == 100 && (25..75).contains(&b), "{a} and {b}");
    }

    #[test]
    fn what_the_other_does_not_know_comes_back_and_stays() {
        let (mut world, all) = (World::new(&["a", "b"]), wishes(100, false));
        for _ in 0..20 {
            world.round("a", &all);
            world.round("b", &Wishes::new());
        }
        assert_eq!(world.round("a", &all).len(), 100);
    }

    #[test]
    fn a_connected_proxy_is_scraped_where_it_is_connected() {
        let mut world = World::new(&["a", "b"]);
        for _ in 0..6 {
            assert_eq!(world.round("a", &wishes(50, true)).len(), 50);
            assert_eq!(world.round("b", &wishes(50, false)).len(), 0);
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_free() {
        let mut world = World::new(&["a"]);
        world.round("a", &wishes(3, false));
        world.round("a", &wishes(1, false));
        assert_eq!(world.owners.len(), 1);
    }
}
