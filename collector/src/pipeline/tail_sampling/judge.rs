//! The task that judges: looks whether the rules were changed, takes the judge's place when it is free, decides, and sifts
//! blocks. Every collector runs one; one at a time is the judge.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::court::{Court, Recent, Ruling, millis};
use super::file::{RulesError, read};
use super::rules::Rules;
use crate::clock::now_ms;
use crate::store::{Sifted, StoreError, TraceSampling};

/// How long a judge that says nothing keeps his place.
const LEASE: Duration = Duration::from_secs(15);
/// Time between two rounds: a part of the time for which traces wait.
const ROUND_MIN: Duration = Duration::from_millis(50);
const ROUND_MAX: Duration = Duration::from_secs(5);
const ROUNDS_PER_WAIT: u32 = 6;
/// Traces of the facts that are read at once.
const FACTS_TRACES_MAX: u64 = 50_000;
/// Turns of sifting in one round.
const SIFTS_MAX: usize = 8;
/// Added to the longest wait: blocks of which all spans started before that are worth a look. Whether their traces were judged
/// is seen then.
const SIFT_MARGIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    verdict: &'static str,
    rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

/// Counters that all clones share.
#[derive(Clone, Debug, Default)]
pub struct SamplingMetrics {
    traces: Family<Decided, Counter>,
    late: Counter,
    early: Counter,
    waiting: Gauge,
    spans: Family<Outcome, Counter>,
    reloads: Family<Outcome, Counter>,
}

impl SamplingMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tail_sampling_traces", "Traces that were judged, by verdict and rule", self.traces.clone());
        registry.register(
            "tail_sampling_late_traces",
            "Times that late spans followed the verdict of their trace",
            self.late.clone(),
        );
        registry.register(
            "tail_sampling_early_traces",
            "Traces that were judged before their time, because too many waited",
            self.early.clone(),
        );
        registry.register(
            "tail_sampling_waiting_traces",
            "Traces that wait for their verdict; 0 where another collector judges",
            self.waiting.clone(),
        );
        registry.register("tail_sampling_spans", "Spans that were kept or left out when blocks were sifted", self.spans.clone());
        registry.register("tail_sampling_reloads", "Times that changed rules were read, by outcome", self.reloads.clone());
    }

    fn ruled(&self, ruling: &Ruling) {
        for (verdict, traces) in &ruling.traces {
            let verdict_name = if verdict.is_kept { "kept" } else { "out" };
            self.traces.get_or_create(&Decided { verdict: verdict_name, rule: verdict.rule.to_string() }).inc_by(*traces);
        }
        self.late.inc_by(ruling.late);
        self.early.inc_by(ruling.early);
    }

    fn sifted(&self, sifted: &Sifted) {
        let add = |outcome: String, spans: u64| {
            if spans > 0 {
                self.spans.get_or_create(&Outcome { outcome }).inc_by(spans);
            }
        };
        add("kept".to_owned(), sifted.kept);
        sifted.out.iter().for_each(|(rule, spans)| add(format!("out:{rule}"), *spans));
    }
}

/// One collector's part in judging.
pub struct Judge {
    path: PathBuf,
    rules: Arc<Rules>,
    store: Arc<dyn TraceSampling>,
    metrics: SamplingMetrics,
    /// Names this process.
    holder: i64,
    /// While this collector judges, and when it last said so.
    court: Option<(Court, Instant)>,
    /// The mistakes of the file as they were told last.
    told: Option<String>,
}

impl Judge {
    /// Reads the rules; from here on facts of stored spans are written down.
    pub fn new(path: PathBuf, store: Arc<dyn TraceSampling>, metrics: SamplingMetrics) -> Result<Self, RulesError> {
        let rules = Arc::new(read(&path)?);
        store.watch_spans(Some(rules.clone()));
        info!(path = %path.display(), rules = rules.rules.len(), "traces are sampled when they have ended");
        let holder = rand::random_range(1..i64::MAX);
        Ok(Self { path, rules, store, metrics, holder, court: None, told: None })
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let rounds = async {
            loop {
                let wait = (self.rules.decide_after / ROUNDS_PER_WAIT).clamp(ROUND_MIN, ROUND_MAX);
                tokio::time::sleep(wait).await;
                self.reload().await;
                if let Err(error) = self.round().await {
                    // What became of the last sentence is not known: all is read again.
                    self.court = None;
                    if !error.is_outage() {
                        warn!(error = &error as &dyn std::error::Error, "failed to judge traces; they wait");
                    }
                }
            }
        };
        stop.run_until_cancelled(rounds).await;
        if let Err(error) = self.leave().await {
            warn!(%error, "another collector judges in {LEASE:?} only");
        }
    }

    /// Leaves judging to the others.
    pub async fn leave(self) -> Result<(), StoreError> {
        if self.court.is_some() { self.store.leave_bench(self.holder).await } else { Ok(()) }
    }

    /// Rules that cannot be read leave the last good ones.
    async fn reload(&mut self) {
        let path = self.path.clone();
        let result = tokio::task::spawn_blocking(move || read(&path)).await;
        match result
            .unwrap_or_else(|error| Err(RulesError::Read { path: self.path.clone(), source: std::io::Error::other(error) }))
        {
            Ok(rules) if rules == *self.rules => self.told = None,
            Ok(rules) => {
                self.rules = Arc::new(rules);
                self.told = None;
                self.store.watch_spans(Some(self.rules.clone()));
                if let Some((court, _)) = &mut self.court {
                    court.set_rules(Arc::clone(&self.rules));
                }
                self.metrics.reloads.get_or_create(&Outcome { outcome: "changed".to_owned() }).inc();
                info!(rules = self.rules.rules.len(), "the rules of tail sampling changed");
            }
            Err(error) => {
                let error = error.to_string();
                if self.told.as_ref() != Some(&error) {
                    self.metrics.reloads.get_or_create(&Outcome { outcome: "failed".to_owned() }).inc();
                    warn!(error, "keeping the rules of tail sampling known so far");
                    self.told = Some(error);
                }
            }
        }
    }

    /// Judges what is due, if this collector is the judge, and sifts some blocks.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let Some(bench) = self.store.take_bench(self.holder, LEASE).await? else {
            self.court = None;
            self.metrics.waiting.set(0);
            return Ok(());
        };
        // After so long another one may have judged meanwhile.
        let court = self.court.take().filter(|(_, since)| asked.duration_since(*since) < LEASE).map(|(court, _)| court);
        let court = match court {
            Some(court) => court,
            None => Court::new(Arc::clone(&self.rules), &bench.state, &self.store.last_verdicts(Recent::WORTH).await?),
        };
        let (court, _) = self.court.insert((court, asked));
        learn(&*self.store, court).await?;
        if let Some(ruling) = court.rule(bench.now_ms) {
            if !self.store.pronounce(&court.sentence(self.holder, &ruling)).await? {
                self.court = None;
                return Ok(());
            }
            court.pronounced(&ruling);
            self.metrics.ruled(&ruling);
        }
        self.metrics.waiting.set(i64::try_from(court.waiting()).unwrap_or(i64::MAX));
        let quiet = self.rules.decide_latest + self.rules.decide_after + SIFT_MARGIN;
        for _ in 0..SIFTS_MAX {
            let Some(sieve) = self.store.to_sift(now_ms(), now_ms() - millis(quiet)).await? else { break };
            // After the blocks were read: facts of all their spans are there.
            learn(&*self.store, court).await?;
            let sifted = self.store.sift(sieve, &|id| court.is_waiting(id)).await?;
            self.metrics.sifted(&sifted);
            if sifted.from == 0 {
                break;
            }
        }
        Ok(())
    }
}

async fn learn(store: &dyn TraceSampling, court: &mut Court) -> Result<(), StoreError> {
    loop {
        let (rows, there) = store.facts(&court.known(), FACTS_TRACES_MAX).await?;
        court.forget_rows(&there);
        if rows.is_empty() {
            return Ok(());
        }
        court.learn(rows);
    }
}
