//! Makes one count of what the two proxies of each request have told.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::call::{self, Call, Protocol, Reporter, Skipped};
use super::options::{GraphOptions, TcpRate};
use super::peer::{Peer, known};
use super::precedence::Precedence;
use crate::store::{EdgeLabels, EdgeTotals, Histogram, Totals};

type Hasher = BuildHasherDefault<ahash::AHasher>;

/// A call and how often it happened, counted once.
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    pub call: Call<'a>,
    pub tally: Tally,
    /// Security is only visible to the destination's proxy.
    pub security: Security,
    pub source_reported: bool,
    pub destination_reported: bool,
    /// What the source and the destination have told of this very call.
    told: (u64, u64),
    /// The rows that were counted; the other reporter's rows were not.
    pub rows: Vec<&'a Arc<EdgeLabels>>,
}

/// What was counted for a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests; bytes for TCP.
    pub amount: u64,
    pub duration: Histogram,
    pub request_bytes: f64,
    pub response_bytes: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Security {
    /// Amount that the destination reported.
    pub seen: u64,
    /// Part of it that came with mutual TLS.
    pub mutual: u64,
    pub source_principal: Option<Arc<str>>,
    pub destination_principal: Option<Arc<str>>,
}

/// All calls of the rows, and what was left out by reason.
#[derive(Debug, Default)]
pub struct Exchanges<'a> {
    pub calls: Vec<Exchange<'a>>,
    pub skipped: HashMap<Skipped, u64>,
}

/// What both sides have said of a call.
#[derive(Default)]
struct Sides<'a> {
    source: Option<Side<'a>>,
    destination: Option<Side<'a>>,
}

#[derive(Default)]
struct Side<'a> {
    tally: Tally,
    security: Security,
    rows: Vec<&'a Arc<EdgeLabels>>,
}

/// Counts every request once.
///
/// The rows of a call are those of two reporters; the destination's count is taken where there is one, because it saw what
/// arrived. What only the source can know (no endpoint, no answer, no proxy at the other end) differs in code, flags or
/// workload, so it is a call of its own and is kept. That is the effect of Kiali's three queries per namespace and its
/// first-value-wins rule, in one pass for all namespaces. Beyond it, see [`recount`].
#[must_use]
pub fn count<'a>(rows: &'a [EdgeTotals], options: &GraphOptions) -> Exchanges<'a> {
    let mut sides: HashMap<Call<'a>, Sides<'a>, Hasher> = HashMap::default();
    let mut order: Vec<Call<'a>> = Vec::new();
    let mut skipped: HashMap<Skipped, u64> = HashMap::new();
    let precedence = Precedence::of(rows);
    for row in rows.iter().filter(|row| precedence.counts(&row.labels)) {
        match call::read(&row.labels, options.rates) {
            Ok((reporter, call)) if concerns(reporter, &call, options) => {
                let entry = sides.entry(call).or_insert_with(|| {
                    order.push(call);
                    Sides::default()
                });
                entry.side(reporter).add(row, call.protocol, options.rates.tcp);
            }
            Ok(_) => {}
            Err(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    let mut calls: Vec<Exchange<'a>> =
        order.into_iter().filter_map(|call| sides.remove(&call).map(|sides| sides.settle(call))).collect();
    recount(&mut calls);
    Exchanges { calls, skipped }
}

impl<'a> Exchanges<'a> {
    /// Adds calls that are not there yet, or only as idle.
    pub fn add_new(&mut self, calls: Vec<Exchange<'a>>) {
        let busy = self.calls.iter().filter(|exchange| exchange.tally.amount > 0);
        let known: HashSet<Call<'a>, Hasher> = busy.map(|exchange| exchange.call).collect();
        self.calls.extend(calls.into_iter().filter(|exchange| !known.contains(&exchange.call)));
    }
}

/// Takes out requests that both proxies have told of in different words.
///
/// A caller that gives up writes 504 and `UT`, the proxy at the other end 0 and `DC`: two calls, one request (Kiali shows
/// two). Between the same two ends no more requests happened than the larger of the two reports says. What is beyond it is
/// taken from the destination's report, because the caller knows how it ended for the caller.
fn recount(calls: &mut [Exchange<'_>]) {
    let mut pairs: HashMap<(Peer<'_>, Peer<'_>, Protocol, &str), Vec<usize>, Hasher> = HashMap::default();
    for (at, exchange) in calls.iter().enumerate() {
        let call = &exchange.call;
        pairs.entry((call.source, call.destination, call.protocol, call.host)).or_default().push(at);
    }
    for members in pairs.into_values().filter(|members| members.len() > 1) {
        let sum = |of: fn(&Exchange<'_>) -> u64| members.iter().map(|at| of(&calls[*at])).sum::<u64>();
        let happened = sum(|exchange| exchange.told.0).max(sum(|exchange| exchange.told.1));
        let mut excess = sum(|exchange| exchange.tally.amount).saturating_sub(happened);
        for at in members {
            let exchange = &mut calls[at];
            let beyond = exchange.told.1.saturating_sub(exchange.told.0).min(excess);
            exchange.tally.take(beyond);
            excess -= beyond;
        }
    }
}

/// Whether a reporter's row belongs to the namespaces that were asked for: arrived there, left from there, or failed on the way.
fn concerns(reporter: Reporter, call: &Call<'_>, options: &GraphOptions) -> bool {
    let Some(wanted) = &options.namespaces else { return true };
    match reporter {
        Reporter::Destination => wanted.contains(call.destination.namespace),
        Reporter::Source => wanted.contains(call.source.namespace) || failed_into(call).is_some_and(|ns| wanted.contains(ns)),
    }
}

/// The namespace of the service that a request without an answering workload was meant for, read off the host's name.
fn failed_into<'a>(call: &Call<'a>) -> Option<&'a str> {
    if known(call.destination.workload) || known(call.destination.namespace) {
        return None;
    }
    let mut parts = call.host.splitn(3, '.');
    let (_, namespace, rest) = (parts.next()?, parts.next()?, parts.next()?);
    (!rest.is_empty()).then_some(namespace)
}

impl<'a> Sides<'a> {
    fn side(&mut self, reporter: Reporter) -> &mut Side<'a> {
        let side = match reporter {
            Reporter::Source => &mut self.source,
            Reporter::Destination => &mut self.destination,
        };
        side.get_or_insert_with(Side::default)
    }

    fn settle(self, call: Call<'a>) -> Exchange<'a> {
        let (source_reported, destination_reported) = (self.source.is_some(), self.destination.is_some());
        let amount = |side: &Option<Side<'_>>| side.as_ref().map_or(0, |side| side.tally.amount);
        let told = (amount(&self.source), amount(&self.destination));
        let sent_bytes = self.source.as_ref().map(|side| side.tally.request_bytes);
        let mut chosen = self.destination.or(self.source).unwrap_or_default();
        // Bytes of requests are Kiali's to read at the source, bytes of responses at the destination.
        chosen.tally.request_bytes = sent_bytes.unwrap_or(chosen.tally.request_bytes);
        Exchange {
            call,
            tally: chosen.tally,
            security: if destination_reported { chosen.security } else { Security::default() },
            source_reported,
            destination_reported,
            told,
            rows: chosen.rows,
        }
    }
}

impl<'a> Side<'a> {
    fn add(&mut self, row: &'a EdgeTotals, protocol: Protocol, tcp: TcpRate) {
        let (labels, totals) = (&row.labels, &row.totals);
        let amount = amount_of(totals, protocol, tcp);
        self.tally.amount += amount;
        self.tally.duration.add(&totals.duration);
        self.tally.request_bytes += totals.request_bytes;
        self.tally.response_bytes += totals.response_bytes;
        self.security.add(labels, amount);
        self.rows.push(labels);
    }
}

impl Security {
    fn add(&mut self, labels: &EdgeLabels, amount: u64) {
        self.seen += amount;
        if labels.connection_security_policy.as_ref() == "mutual_tls" {
            self.mutual += amount;
        }
        let keep = |slot: &mut Option<Arc<str>>, principal: &Arc<str>| {
            if slot.is_none() && known(principal) {
                *slot = Some(Arc::clone(principal));
            }
        };
        keep(&mut self.source_principal, &labels.source_principal);
        keep(&mut self.destination_principal, &labels.destination_principal);
    }

    /// Takes in what another call of the same edge has shown.
    pub fn merge(&mut self, other: &Self) {
        self.seen += other.seen;
        self.mutual += other.mutual;
        self.source_principal = self.source_principal.take().or_else(|| other.source_principal.clone());
        self.destination_principal = self.destination_principal.take().or_else(|| other.destination_principal.clone());
    }
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.amount += other.amount;
        self.duration.add(&other.duration);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
    }

    /// Makes it smaller by so many requests, and what they brought along by the same part.
    fn take(&mut self, amount: u64) {
        if amount == 0 {
            return;
        }
        let part = self.amount.saturating_sub(amount) as f64 / self.amount as f64;
        self.amount = self.amount.saturating_sub(amount);
        for count in &mut self.duration.counts {
            *count = (*count as f64 * part).round() as u64;
        }
        for value in [&mut self.duration.sum, &mut self.request_bytes, &mut self.response_bytes] {
            *value *= part;
        }
    }
}

/// What a client sends, the proxies' TCP metrics call received.
fn amount_of(totals: &Totals, protocol: Protocol, tcp: TcpRate) -> u64 {
    match (protocol, tcp) {
        (Protocol::Http | Protocol::Grpc, _) => totals.requests,
        (Protocol::Tcp, TcpRate::None) => 0,
        (Protocol::Tcp, TcpRate::Sent) => totals.tcp_received_bytes,
        (Protocol::Tcp, TcpRate::Received) => totals.tcp_sent_bytes,
        (Protocol::Tcp, TcpRate::Total) => totals.tcp_received_bytes + totals.tcp_sent_bytes,
    }
}
