//! Tail sampling: which traces are kept, decided when they have been quiet for a while, by rules in a file.

mod condition;
mod counted;
mod court;
mod file;
mod judge;
mod rules;

pub use court::{Court, Ruling};
pub use file::{RulesError, parse, read};
pub use judge::{Judge, SamplingMetrics};
pub use rules::{Kind, Rule, Rules};

#[cfg(test)]
mod tests;
