//! Puts together what all sources found: one target per registered proxy, and one per job, URL and labels.

use std::collections::HashMap;
use std::sync::Arc;

use super::discovery::Discovery;
use super::scheduler::TARGETS_MAX;
use super::target::ScrapeTarget;

/// Pairs of names of one process that are remembered; the process may go by the other one day.
const NAMES_MAX: usize = 2 * TARGETS_MAX;

/// The targets to scrape.
#[derive(Default)]
pub struct Wanted {
    targets: HashMap<Arc<str>, ScrapeTarget>,
    /// Keys of configured targets, and of the registered proxies that they turned out to be.
    same: HashMap<Arc<str>, Arc<str>>,
}

impl Wanted {
    pub fn contains(&self, key: &str) -> bool {
        self.targets.contains_key(key)
    }

    pub fn targets(&self) -> impl Iterator<Item = &ScrapeTarget> {
        self.targets.values()
    }

    /// Takes up what the sources say now; returns how many targets are too many. The same proxy may be known by its
    /// registration, by a file and by Kubernetes: it is scraped once, and its registration says what it is.
    pub fn follow(&mut self, found: &[Arc<Discovery>]) -> u64 {
        self.targets.clear();
        let all = || found.iter().flat_map(|discovery| &discovery.targets);
        let mut refused = found.iter().map(|discovery| discovery.refused as u64).sum();
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        for target in all().filter(|target| target.node_id.is_some()) {
            let known = self.targets.get(&target.key);
            // Of two registrations under one address the newer is the one that is there.
            if known.is_none_or(|known| known.registered_at_ms < target.registered_at_ms) {
                refused += self.take(target.clone());
                names.extend(target.aliases.iter().map(|alias| (alias.clone(), target.key.clone())));
            }
        }
        for target in all().filter(|target| target.node_id.is_none()) {
            match names.get(authority(&target.url)).filter(|name| **name != target.key) {
                Some(name) => self.merge(&target.key, &name.clone()),
                None => refused += self.take_configured(target),
            }
        }
        refused
    }

    /// Several jobs may name one URL: each has its own series, and the first of them counts what the process tells.
    fn take_configured(&mut self, target: &ScrapeTarget) -> u64 {
        match self.targets.get(&target.key) {
            None => self.take(target.clone()),
            Some(known) if known.node_id.is_some() || known.is_same(target) => 0,
            Some(_) => self.take(target.clone().beside()),
        }
    }

    fn take(&mut self, mut target: ScrapeTarget) -> u64 {
        if self.targets.len() >= TARGETS_MAX && !self.targets.contains_key(&target.key) {
            return 1;
        }
        if let Some(other) = self.same.get(&target.key) {
            add_former(&mut target, other);
        }
        self.targets.insert(target.key.clone(), target);
        0
    }

    /// The configured target is a registered proxy by another port.
    fn merge(&mut self, configured: &Arc<str>, registered: &Arc<str>) {
        if let Some(target) = self.targets.get_mut(registered) {
            add_former(target, configured);
        }
        if self.same.len() < NAMES_MAX {
            self.same.insert(configured.clone(), registered.clone());
        }
    }
}

fn add_former(target: &mut ScrapeTarget, key: &Arc<str>) {
    if !target.former_keys.contains(key) {
        target.former_keys = target.former_keys.iter().chain([key]).cloned().collect();
    }
}

/// `host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    &rest[..rest.find(['/', '?']).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::files::url_labels;
    use super::super::target::TargetDefaults;
    use super::*;

    fn configured(url: &str) -> ScrapeTarget {
        let defaults = TargetDefaults::envoys("files", Duration::from_secs(15));
        defaults.target(&url_labels(url).unwrap()).unwrap().unwrap()
    }

    fn registered(node: &str, url: &str, at_ms: i64, alias: &str) -> ScrapeTarget {
        ScrapeTarget {
            node_id: Some(node.into()),
            former_keys: [node.into()].into(),
            registered_at_ms: Some(at_ms),
            aliases: [alias.to_owned()].into(),
            ..configured(url)
        }
    }

    fn discovery(targets: Vec<ScrapeTarget>) -> Arc<Discovery> {
        Arc::new(Discovery { targets, ..Discovery::default() })
    }

    fn seen(wanted: &Wanted) -> Vec<String> {
        let mut all: Vec<String> = wanted
            .targets()
            .map(|target| format!("{} {:?} {:?}", target.key, target.node_id.as_deref(), target.former_keys))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn one_proxy_known_twice_is_one_target() {
        let mut wanted = Wanted::default();
        let proxy = registered("n", "http://10.0.0.1:15020/m", 1, "10.0.0.1:15090");
        let file = discovery(vec![configured("http://10.0.0.1:15020/m"), configured("http://10.0.0.1:15090/m")]);
        assert_eq!(wanted.follow(&[file.clone(), discovery(vec![proxy])]), 0);
        assert_eq!(seen(&wanted), [r#"http://10.0.0.1:15020/m Some("n") ["n", "http://10.0.0.1:15090/m"]"#]);
        // The proxy is no longer registered: what was counted under the other name goes on under this one.
        wanted.follow(&[file]);
        let expected = [r#"http://10.0.0.1:15020/m None []"#, r#"http://10.0.0.1:15090/m None ["http://10.0.0.1:15020/m"]"#];
        assert_eq!(seen(&wanted), expected);
    }

    #[test]
    fn jobs_with_one_url_have_a_target_each_and_one_counts() {
        let of_job = |job: &str, labels: &[(&str, &str)]| {
            let mut found = url_labels("http://a:1/m").unwrap();
            labels.iter().for_each(|(name, value)| found.set(name, *value));
            TargetDefaults::envoys(job, Duration::from_secs(15)).target(&found).unwrap().unwrap()
        };
        let mut wanted = Wanted::default();
        let one = vec![of_job("one", &[]), of_job("one", &[("zone", "b")]), of_job("one", &[])];
        wanted.follow(&[discovery(one), discovery(vec![of_job("two", &[])])]);
        let mut all: Vec<_> = wanted.targets().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        let told = |target: &ScrapeTarget| (target.job.name.to_string(), target.labels.get("zone").to_owned(), target.is_counted);
        let expected = [("one", "", true), ("one", "b", false), ("two", "", false)];
        assert_eq!(all.iter().map(|target| told(target)).collect::<Vec<_>>(), expected.map(|(j, z, c)| (j.into(), z.into(), c)));
        assert_eq!(&*all[0].key, "http://a:1/m");
        assert!(all[1].key.starts_with("http://a:1/m#one-") && all[2].key.starts_with("http://a:1/m#two-"));
        assert!(all.iter().all(|target| target.url == "http://a:1/m"));
        // Another registers there: it is the proxy itself.
        wanted.follow(&[discovery(vec![of_job("two", &[])]), discovery(vec![registered("n", "http://a:1/m", 1, "a:2")])]);
        assert_eq!(seen(&wanted), [r#"http://a:1/m Some("n") ["n"]"#]);
    }

    #[test]
    fn the_newer_of_two_registrations_counts() {
        let mut wanted = Wanted::default();
        let (old, new) = (registered("old", "http://a:1/m", 1, "a:2"), registered("new", "http://a:1/m", 2, "a:2"));
        wanted.follow(&[discovery(vec![new.clone(), old.clone()])]);
        assert_eq!(seen(&wanted), [r#"http://a:1/m Some("new") ["new"]"#]);
        wanted.follow(&[discovery(vec![old, new])]);
        assert_eq!(seen(&wanted), [r#"http://a:1/m Some("new") ["new"]"#]);
    }

    #[test]
    fn too_many_are_refused_and_counted() {
        let many = (0..TARGETS_MAX + 3).map(|number| configured(&format!("http://a{number}:1/m"))).collect();
        let mut wanted = Wanted::default();
        let found = Discovery { targets: many, refused: 2, ..Discovery::default() };
        assert_eq!((wanted.follow(&[Arc::new(found)]), wanted.targets().count()), (5, TARGETS_MAX));
    }
}
