//! PromQL: questions to the samples in the language of Prometheus, answered as Prometheus answers them.
//!
//! The grammar is `promql-parser`'s; what it means is ours. A question is planned first ([`plan`]): which series are read,
//! over which times. Then they are fetched, and the rest is pure computation over whole ranges: each node of the tree yields
//! its series with one value per step, so that a selector is walked once however many steps are asked for.
//!
//! Semantics are those of Prometheus 2 (closed windows, names dropped where a value is computed); a differential test holds
//! them against a real one.

mod aggregate;
mod answer;
mod binary;
mod call;
mod eval;
mod histogram;
mod labels;
mod math;
mod over_time;
mod plan;
mod select;
mod series;
mod stored;
mod times;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;

pub use answer::Answer;
pub use plan::Select;
pub use series::{label, with_label};
pub use stored::Stored;

use crate::store::StoreError;
use crate::store::sample::SeriesSamples;
use crate::store::sample::matcher::Matcher;

/// Bytes of an expression.
pub const EXPRESSION_BYTES_MAX: usize = 64 * 1024;
/// How deep expressions may be nested: each level is a call on the stack, of the parser and of ours.
pub const DEPTH_MAX: usize = 128;
/// Operators of an expression: those of one level nest in the tree, each in the one before it.
pub const OPERATORS_MAX: usize = 2_000;
/// Stack for the deepest expression that is allowed, unoptimised.
const STACK_BYTES: usize = 64 << 20;
/// Steps of a range, as in Prometheus.
pub const STEPS_MAX: i64 = 11_000;

/// When a question is asked. Times are Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub start_ms: i64,
    pub end_ms: i64,
    /// Zero for one moment.
    pub step_ms: i64,
    /// How old the newest sample of a series may be.
    pub lookback_ms: i64,
    /// Step of sub-queries that name none.
    pub default_step_ms: i64,
}

impl Times {
    /// Five minutes, as in Prometheus.
    pub const LOOKBACK_MS: i64 = 300_000;
    /// A minute, as in Prometheus.
    pub const DEFAULT_STEP_MS: i64 = 60_000;

    #[must_use]
    pub fn at(t_ms: i64) -> Self {
        Self { start_ms: t_ms, end_ms: t_ms, step_ms: 0, lookback_ms: Self::LOOKBACK_MS, default_step_ms: Self::DEFAULT_STEP_MS }
    }

    /// # Errors
    /// When the step is not positive, the end lies before the start, or there are too many steps.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::BadData("zero or negative query resolution step widths are not accepted".to_owned()));
        }
        if end_ms < start_ms {
            return Err(QueryError::BadData("end timestamp must not be before start time".to_owned()));
        }
        if end_ms.saturating_sub(start_ms) / step_ms >= STEPS_MAX {
            return Err(QueryError::BadData(format!(
                "a range may have {STEPS_MAX} steps for each series; make the step larger or the range shorter"
            )));
        }
        Ok(Self { start_ms, end_ms, step_ms, ..Self::at(start_ms) })
    }

    #[must_use]
    pub fn is_instant(&self) -> bool {
        self.step_ms == 0
    }
}

/// Why a question has no answer; the kinds are those of Prometheus' API.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question itself is wrong.
    #[error("{0}")]
    BadData(String),
    /// It cannot be computed on these series.
    #[error("{0}")]
    Execution(String),
    #[error("the query reads or makes more than {0} samples; ask for fewer series or a shorter range")]
    TooManySamples(usize),
    #[error("the query took too long")]
    Timeout,
    #[error("the query was canceled")]
    Canceled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn execution<T>(message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Execution(message.into()))
}

/// Where samples come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Series that fit and have samples in the time, each oldest first.
    async fn select(&self, select: &Select, samples_max: usize) -> Result<Vec<SeriesSamples>, QueryError>;
}

/// What one question may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Samples that are read, and values that any node makes.
    pub samples_max: usize,
    pub deadline: Option<Instant>,
    canceled: Arc<AtomicBool>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { samples_max: 20_000_000, deadline: None, canceled: Arc::default() }
    }
}

/// Cancels its query when it is dropped, as when the caller hung up.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Limits {
    /// The usual ones, and an end.
    #[must_use]
    pub fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, ..Self::default() }
    }

    fn check(&self) -> Result<(), QueryError> {
        if self.canceled.load(Ordering::Relaxed) {
            return Err(QueryError::Canceled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(QueryError::Timeout),
            _ => Ok(()),
        }
    }

    fn allow(&self, samples: usize) -> Result<(), QueryError> {
        if samples > self.samples_max { Err(QueryError::TooManySamples(self.samples_max)) } else { Ok(()) }
    }
}

/// Answers a question.
///
/// # Errors
/// When it is wrong, cannot be computed, or costs too much.
pub async fn query(source: &dyn Source, text: &str, times: Times, limits: &Limits) -> Result<Answer, QueryError> {
    let owned = text.to_owned();
    let plan = on_own_stack(move || plan::plan(&owned, times)).await?;
    let mut fetched = Vec::with_capacity(plan.selects().len());
    let mut samples = 0usize;
    for select in plan.selects() {
        limits.check()?;
        let mut series = source.select(select, limits.samples_max.saturating_sub(samples)).await?;
        // Sums of floats depend on their order; an answer should not depend on the order of the store's.
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        samples += series.iter().map(|series| series.samples.len()).sum::<usize>();
        limits.allow(samples)?;
        fetched.push(series);
    }
    // Of this query alone: the caller may ask again under the same limits.
    let limits = Limits { canceled: Arc::default(), ..limits.clone() };
    let _canceled_with_caller = CancelOnDrop(Arc::clone(&limits.canceled));
    on_own_stack(move || answer::answer(&plan, &fetched, &limits)).await
}

/// What the selectors of an expression ask of series.
///
/// # Errors
/// When it is no PromQL.
pub async fn selectors(text: &str) -> Result<Vec<Vec<Matcher>>, QueryError> {
    let owned = text.to_owned();
    let plan = on_own_stack(move || plan::plan(&owned, Times::at(crate::clock::now_ms()))).await?;
    Ok(plan.selects().iter().map(|select| select.matchers.clone()).collect())
}

/// The expression as Prometheus would write it.
///
/// # Errors
/// When it is no PromQL.
pub async fn format(text: &str) -> Result<String, QueryError> {
    let owned = text.to_owned();
    on_own_stack(move || plan::formatted(&owned)).await
}

/// The expression as a tree, in the JSON of Prometheus' `parse_query`.
///
/// # Errors
/// When it is no PromQL.
pub async fn tree(text: &str) -> Result<serde_json::Value, QueryError> {
    let owned = text.to_owned();
    on_own_stack(move || plan::tree(&owned)).await
}

/// The expression on one line, as Prometheus prints it. It waits for a thread: not for tasks that wait for sockets.
///
/// # Errors
/// When it is no PromQL.
pub fn one_line(text: &str) -> Result<String, QueryError> {
    let told = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || plan::one_line(text));
        thread.map(|thread| thread.join().unwrap_or_else(|_| execution("the expression cannot be read")))
    });
    told.unwrap_or_else(|error| execution(format!("no thread for the expression: {error}")))
}

/// Runs what may nest deeply, and take long, on a thread of its own: the memory of its stack is only taken as it is used.
async fn on_own_stack<T: Send + 'static>(
    compute: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let (done, answer) = tokio::sync::oneshot::channel();
    let run = move || {
        // Whoever asked may have gone.
        let _ = done.send(compute());
    };
    let thread = std::thread::Builder::new().name("promql".to_owned()).stack_size(STACK_BYTES).spawn(run);
    if let Err(error) = thread {
        return execution(format!("no thread for the query: {error}"));
    }
    answer.await.unwrap_or_else(|_| execution("the query failed; the log tells why"))
}

/// For fuzzers: an expression as it is read, planned, printed, and answered where no series is.
pub(crate) fn fuzz(text: &str, times: Times) {
    let run = || {
        let _ = plan::formatted(text);
        let Ok(plan) = plan::plan(text, times) else { return };
        let nothing = vec![Vec::new(); plan.selects().len()];
        let _ = answer::answer(&plan, &nothing, &Limits::default());
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run);
        let Ok(thread) = thread else { return };
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
