//! Recording and alerting rules in Prometheus' files: read, evaluated at their times, their results stored as samples, and
//! whoever has to know of alerts told.

mod alert;
mod engine;
mod file;
mod group;
mod metrics;
mod notify;
mod schedule;
mod template;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::alert::{ALERT_NAME, Alert, State};
pub use self::engine::{Engine, GroupState};
pub use self::file::{RuleMistakes, RuleText, parse, read};
pub use self::group::{Group, Kind, Rule};
pub use self::metrics::RuleMetrics;
pub use self::notify::{Notifier, Protocol, address};
pub use self::schedule::{GroupStatus, Ownership, Published, RuleStatus};
use self::schedule::{Runner, Shared};
use crate::clock::now_ms;

/// How often rule files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Groups that are evaluated at the same time.
const AT_ONCE_MAX: usize = 4;
/// Of the shipped rules, in place of a file's.
const SHIPPED: &str = "sidelight/istio.yml";

/// Which rules there are.
#[derive(Clone, Debug)]
pub struct RuleSources {
    /// Names of files, with one `*` in their last part at most.
    pub files: Vec<String>,
    /// Those that we ship.
    pub shipped: bool,
    /// Of groups that name none.
    pub interval: Duration,
}

impl RuleSources {
    /// # Errors
    /// When a file is not there or cannot be read.
    pub fn read(&self) -> Result<Vec<RuleText>, RuleMistakes> {
        let mut texts = Vec::new();
        if self.shipped {
            let text = include_str!("../../deploy/rules/istio.yml").to_owned();
            texts.push(RuleText { name: SHIPPED.into(), text });
        }
        texts.extend(file::read(&self.files)?);
        Ok(texts)
    }
}

/// What is loaded, for whoever asks. Cheap to clone.
#[derive(Clone, Default)]
pub struct LoadedRules(Arc<RwLock<Vec<Arc<Published>>>>);

impl LoadedRules {
    /// By the names of files and groups.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Published>> {
        self.0.read().clone()
    }
}

struct Running {
    published: Arc<Published>,
    stop: CancellationToken,
    task: JoinHandle<GroupState>,
}

/// Loads rules, and runs what is loaded.
pub struct Rules {
    sources: RuleSources,
    engine: Engine,
    notifier: Notifier,
    ownership: Ownership,
    slots: Arc<Semaphore>,
    loaded: LoadedRules,
    texts: Vec<RuleText>,
    running: HashMap<String, Running>,
    stop: CancellationToken,
}

impl Rules {
    /// Reads the files, and starts their groups.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub async fn start(
        sources: RuleSources,
        engine: Engine,
        notifier: Notifier,
        ownership: Ownership,
        stop: CancellationToken,
    ) -> Result<(Self, LoadedRules), RuleMistakes> {
        let (texts, groups) = load(sources.clone()).await?;
        let loaded = LoadedRules::default();
        let slots = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let running = HashMap::new();
        let mut rules = Self { sources, engine, notifier, ownership, slots, loaded: loaded.clone(), texts, running, stop };
        rules.follow(groups).await;
        Ok((rules, loaded))
    }

    /// Follows the files until it is stopped; files that are wrong leave the rules as they were.
    pub async fn run(mut self) {
        let mut told: Option<RuleMistakes> = None;
        while self.stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            match self.news().await {
                Ok(None) => {}
                Ok(Some((texts, groups))) => {
                    self.texts = texts;
                    self.follow(groups).await;
                    told = None;
                }
                Err(mistakes) => {
                    self.engine.metrics.not_loaded();
                    if told.as_ref() != Some(&mistakes) {
                        warn!(%mistakes, "the rule files are wrong; the rules stay as they were");
                    }
                    told = Some(mistakes);
                }
            }
        }
        for (_, running) in self.running.drain() {
            running.stop.cancel();
            if let Err(error) = running.task.await {
                warn!(%error, "a group of rules ended in a panic");
            }
        }
    }

    /// What the files say, if it is something else than before.
    async fn news(&self) -> Result<Option<(Vec<RuleText>, Vec<Group>)>, RuleMistakes> {
        let sources = self.sources.clone();
        let texts = tokio::task::spawn_blocking(move || sources.read()).await;
        let texts = texts.map_err(|error| RuleMistakes(vec![error.to_string()]))??;
        if texts == self.texts {
            self.engine.metrics.loaded(self.running.len());
            return Ok(None);
        }
        load(self.sources.clone()).await.map(Some)
    }

    async fn follow(&mut self, groups: Vec<Group>) {
        let shared_names = shared_names(&groups);
        let mut published = Vec::with_capacity(groups.len());
        let mut old = std::mem::take(&mut self.running);
        for group in groups {
            let key = group.key();
            let running = match old.remove(&key) {
                Some(running) if *running.published.group == group => running,
                known => self.begin(group, known, &shared_names).await,
            };
            published.push(Arc::clone(&running.published));
            self.running.insert(key, running);
        }
        for (_, running) in old {
            if let Some(state) = ended(running).await
                && self.ownership.is_ours()
            {
                self.engine.end(&state, now_ms()).await;
            }
        }
        self.engine.metrics.loaded(published.len());
        let rules: usize = published.iter().map(|group| group.group.rules.len()).sum();
        info!(groups = published.len(), rules, "rules are loaded");
        // As Prometheus lists them.
        published.sort_by(|a, b| (&a.group.file, &a.group.name).cmp(&(&b.group.file, &b.group.name)));
        *self.loaded.0.write() = published;
    }

    async fn begin(&self, group: Group, known: Option<Running>, shared_names: &Shared) -> Running {
        let group = Arc::new(group);
        let before = match known {
            Some(running) => ended(running).await,
            None => None,
        };
        let state = before.map_or_else(|| GroupState::new(Arc::clone(&group)), |before| before.changed(Arc::clone(&group)));
        let interval = group.interval.unwrap_or(self.sources.interval);
        let published = Arc::new(Published::new(group, interval));
        let stop = self.stop.child_token();
        let runner = Runner {
            engine: self.engine.clone(),
            notifier: self.notifier.clone(),
            ownership: self.ownership.clone(),
            slots: Arc::clone(&self.slots),
            published: Arc::clone(&published),
            shared_names: Arc::clone(shared_names),
            stop: stop.clone(),
            ending: self.stop.clone(),
        };
        Running { published, stop, task: tokio::spawn(runner.run(state)) }
    }
}

async fn load(sources: RuleSources) -> Result<(Vec<RuleText>, Vec<Group>), RuleMistakes> {
    let loading = tokio::task::spawn_blocking(move || {
        let texts = sources.read()?;
        let groups = parse(&texts)?;
        Ok((texts, groups))
    });
    loading.await.unwrap_or_else(|error| Err(RuleMistakes(vec![error.to_string()])))
}

async fn ended(running: Running) -> Option<GroupState> {
    running.stop.cancel();
    running.task.await.inspect_err(|error| warn!(%error, "a group of rules ended in a panic")).ok()
}

fn shared_names(groups: &[Group]) -> Shared {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.alerting().is_some()) {
        *counts.entry(rule.name.as_str()).or_default() += 1;
    }
    let shared: HashSet<String> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect();
    Arc::new(shared)
}
