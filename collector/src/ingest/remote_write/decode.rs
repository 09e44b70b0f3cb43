//! Reads write requests where they lie: the generated types of a whole request may take fifty times its bytes.

use crate::ingest::door::Refusal;
use crate::ingest::wire::{Fields, Value, WireError};
use crate::pipeline::{LABELS_MAX, SamplePush};
use crate::store::sample::NAME;
use crate::store::{Metadata, Sample};

/// Exemplars of one series in one request.
const EXEMPLARS_MAX: usize = 100;
/// Texts of one request of version 2.0.
const SYMBOLS_MAX: usize = 500_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Why bytes are no write request.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a text is no UTF-8")]
    Text(#[from] std::str::Utf8Error),
    #[error("it has more than {SYMBOLS_MAX} symbols; send fewer series at a time")]
    Symbols,
}

/// The entries of one series. The vectors serve one series after the other.
#[derive(Default)]
struct Entries<'a> {
    labels: Vec<(&'a str, &'a str)>,
    samples: Vec<Sample>,
    /// Samples for which the request has no room any more.
    beyond: u64,
    histograms: u64,
    exemplars: Vec<Exemplar<'a>>,
    /// Exemplars for which the request has no room.
    exemplars_beyond: u64,
    /// When the counter began.
    since_ms: Option<i64>,
}

/// An exemplar of a series.
struct Exemplar<'a> {
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
    t_ms: i64,
}

/// # Errors
/// When the bytes are no write request. What is wrong with single series is in the answer.
pub(super) fn decode(version: Version, body: &[u8], mut push: SamplePush) -> Result<SamplePush, Refusal> {
    let done = match version {
        Version::One => version_one(body, &mut push),
        Version::Two => version_two(body, &mut push),
    };
    match done {
        Ok(()) => Ok(push),
        Err(broken) => Err(Refusal::undecodable(format!("the body is no write request: {broken}"))),
    }
}

fn version_one(body: &[u8], push: &mut SamplePush) -> Result<(), Broken> {
    let (mut fields, mut entries) = (Fields::new(body), Entries::default());
    while let Some((number, field)) = fields.next_field()? {
        if number == 3 {
            push.describe(metadata(field.bytes(number)?)?);
        }
        if number != 1 {
            continue;
        }
        let mut series = Fields::new(field.bytes(number)?);
        while let Some((number, field)) = series.next_field()? {
            match number {
                1 => entries.label(label(field.bytes(number)?)?),
                2 => entries.sample(field.bytes(number)?, push)?,
                3 => entries.exemplar(exemplar(field.bytes(number)?)?),
                4 => entries.histograms += 1,
                _ => {}
            }
        }
        entries.hand_over(push, true);
    }
    Ok(())
}

fn version_two(body: &[u8], push: &mut SamplePush) -> Result<(), Broken> {
    let symbols = symbols(body)?;
    let (mut fields, mut entries, mut references) = (Fields::new(body), Entries::default(), Vec::new());
    while let Some((number, field)) = fields.next_field()? {
        if number != 5 {
            continue;
        }
        let mut series = Fields::new(field.bytes(number)?);
        let mut described = [0; 3];
        while let Some((number, field)) = series.next_field()? {
            match (number, field) {
                (1, Value::Varint(reference)) => note(&mut references, reference),
                (1, field) => Fields::each_varint(field.bytes(number)?, |reference| note(&mut references, reference))?,
                (2, field) => entries.sample(field.bytes(number)?, push)?,
                (3, _) => entries.histograms += 1,
                (4, field) => match exemplar_two(field.bytes(number)?, &symbols)? {
                    Some(exemplar) => entries.exemplar(exemplar),
                    None => push.refuse_exemplars("bad_symbol", 1),
                },
                (5, field) => described = described_two(field.bytes(number)?)?,
                (6, field) => entries.since_ms = Some(field.varint(number)?.cast_signed()).filter(|since_ms| *since_ms > 0),
                _ => {}
            }
        }
        let symbol = |reference: &u64| usize::try_from(*reference).ok().and_then(|place| symbols.get(place)).copied();
        let mut are_known = true;
        for pair in references.chunks(2) {
            match pair {
                [name, value] => match symbol(name).zip(symbol(value)) {
                    Some(label) => entries.label(label),
                    None => are_known = false,
                },
                _ => are_known = false,
            }
        }
        references.clear();
        let name = entries.labels.iter().find(|(name, _)| *name == NAME).map_or("", |(_, value)| *value);
        let [kind, help, unit] = described;
        let text = |reference: u64| symbol(&reference).unwrap_or_default();
        if described != [0; 3] {
            push.describe(Metadata::new(family(name, kind), kind_name(kind), text(help), text(unit)));
        }
        entries.hand_over(push, are_known);
    }
    Ok(())
}

/// Types of metrics in both versions, in the order of their numbers.
const KINDS: [&str; 8] = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

fn kind_name(number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|place| KINDS.get(place)).copied().unwrap_or("unknown")
}

/// Of a series of version 2.0, the metric that is described: a histogram is described by its name without suffix.
fn family(name: &str, kind: u64) -> &str {
    let suffixes: &[&str] = match kind_name(kind) {
        "histogram" | "gaugehistogram" => &["_bucket", "_count", "_sum", "_gcount", "_gsum"],
        "summary" => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// `MetricMetadata` of version 1.0.
fn metadata(message: &[u8]) -> Result<Metadata, Broken> {
    let (mut kind, mut texts) = (0, [""; 3]);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => kind = field.varint(number)?,
            2 => texts[0] = std::str::from_utf8(field.bytes(number)?)?,
            4 => texts[1] = std::str::from_utf8(field.bytes(number)?)?,
            5 => texts[2] = std::str::from_utf8(field.bytes(number)?)?,
            _ => {}
        }
    }
    let [metric, help, unit] = texts;
    Ok(Metadata::new(metric, kind_name(kind), help, unit))
}

/// `Metadata` of version 2.0: the type, and the symbols of help and unit.
fn described_two(message: &[u8]) -> Result<[u64; 3], Broken> {
    let mut described = [0; 3];
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => described[0] = field.varint(number)?,
            3 => described[1] = field.varint(number)?,
            4 => described[2] = field.varint(number)?,
            _ => {}
        }
    }
    Ok(described)
}

fn exemplar(message: &[u8]) -> Result<Exemplar<'_>, Broken> {
    let mut exemplar = Exemplar { labels: Vec::new(), value: 0.0, t_ms: 0 };
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 if exemplar.labels.len() <= LABELS_MAX => exemplar.labels.push(label(field.bytes(number)?)?),
            2 => exemplar.value = f64::from_bits(field.fixed64(number)?),
            3 => exemplar.t_ms = field.varint(number)?.cast_signed(),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// `None` when it refers to a symbol that is not there.
fn exemplar_two<'a>(message: &[u8], symbols: &[&'a str]) -> Result<Option<Exemplar<'a>>, Broken> {
    let (mut references, mut value, mut t_ms) = (Vec::new(), 0.0, 0);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match (number, field) {
            (1, Value::Varint(reference)) => note(&mut references, reference),
            (1, field) => Fields::each_varint(field.bytes(number)?, |reference| note(&mut references, reference))?,
            (2, field) => value = f64::from_bits(field.fixed64(number)?),
            (3, field) => t_ms = field.varint(number)?.cast_signed(),
            _ => {}
        }
    }
    let symbol = |reference: &u64| usize::try_from(*reference).ok().and_then(|place| symbols.get(place)).copied();
    let pair = |pair: &[u64]| match pair {
        [name, value] => symbol(name).zip(symbol(value)),
        _ => None,
    };
    let labels: Option<Vec<_>> = references.chunks(2).map(pair).collect();
    Ok(labels.map(|labels| Exemplar { labels, value, t_ms }))
}

/// The symbols that the labels refer to; they may stand behind them.
fn symbols(body: &[u8]) -> Result<Vec<&str>, Broken> {
    let (mut fields, mut symbols) = (Fields::new(body), Vec::new());
    while let Some((number, field)) = fields.next_field()? {
        if number == 4 {
            if symbols.len() == SYMBOLS_MAX {
                return Err(Broken::Symbols);
            }
            symbols.push(std::str::from_utf8(field.bytes(number)?)?);
        }
    }
    Ok(symbols)
}

/// No more than it takes to see that they are too many.
fn note(references: &mut Vec<u64>, reference: u64) {
    if references.len() < 2 * (LABELS_MAX + 1) {
        references.push(reference);
    }
}

fn label(message: &[u8]) -> Result<(&str, &str), Broken> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => name = field.bytes(number)?,
            2 => value = field.bytes(number)?,
            _ => {}
        }
    }
    Ok((std::str::from_utf8(name)?, std::str::from_utf8(value)?))
}

impl<'a> Entries<'a> {
    fn label(&mut self, label: (&'a str, &'a str)) {
        if self.labels.len() <= LABELS_MAX {
            self.labels.push(label);
        }
    }

    fn sample(&mut self, message: &[u8], push: &SamplePush) -> Result<(), WireError> {
        let mut sample = Sample { t_ms: 0, value: 0.0 };
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => sample.value = f64::from_bits(field.fixed64(number)?),
                2 => sample.t_ms = field.varint(number)?.cast_signed(),
                _ => {}
            }
        }
        if (self.samples.len() as u64) < push.room() {
            self.samples.push(sample)
        } else {
            self.beyond += 1
        }
        Ok(())
    }

    fn exemplar(&mut self, exemplar: Exemplar<'a>) {
        if self.exemplars.len() < EXEMPLARS_MAX {
            self.exemplars.push(exemplar);
        } else {
            self.exemplars_beyond += 1;
        }
    }

    fn hand_over(&mut self, push: &mut SamplePush, labels_are_known: bool) {
        for exemplar in self.exemplars.drain(..) {
            match labels_are_known {
                true => push.exemplar(&self.labels, exemplar.t_ms, exemplar.value, &exemplar.labels),
                false => push.refuse_exemplars("bad_symbol", 1),
            }
        }
        match labels_are_known {
            true => push.add_since(&self.labels, self.since_ms.take(), self.samples.drain(..)),
            false => push.refuse("bad_symbol", self.samples.drain(..).count() as u64),
        }
        self.labels.clear();
        self.since_ms = None;
        push.refuse("too_many_items", std::mem::take(&mut self.beyond));
        push.refuse("native_histogram", std::mem::take(&mut self.histograms));
        push.refuse_exemplars("too_many_items", std::mem::take(&mut self.exemplars_beyond));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::ingest::remote_write::message::{Label, RequestV2, TimeSeries, TimeSeriesV2, WriteRequest};
    use crate::store::sample::index::SeriesIndex;

    fn push() -> SamplePush {
        SamplePush::up_to(5, Arc::new(SeriesIndex::new(0, 100)), Arc::new(|_| Ok(())))
    }

    fn samples(count: i64) -> Vec<super::super::message::Sample> {
        (0..count).map(|timestamp| super::super::message::Sample { value: 1.5, timestamp }).collect()
    }

    fn series(labels: &[(&str, &str)], count: i64) -> TimeSeries {
        let labels = labels.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() });
        TimeSeries { labels: labels.collect(), samples: samples(count), ..TimeSeries::default() }
    }

    fn refused(version: Version, body: &[u8]) -> (u64, Vec<(&'static str, u64)>) {
        let push = decode(version, body, push()).unwrap();
        (push.received(), push.refused().iter().map(|(reason, count)| (*reason, *count)).collect())
    }

    #[test]
    fn what_is_too_much_is_counted_and_not_kept() {
        let request = WriteRequest { timeseries: vec![series(&[("__name__", "a")], 3), series(&[("__name__", "b")], 9)] };
        assert_eq!(refused(Version::One, &request.encode_to_vec()), (12, vec![("too_many_items", 7)]));
        let names: Vec<String> = (0..1000).map(|number| format!("l{number:04}")).collect();
        let mut labels = vec![("__name__", "a")];
        labels.extend(names.iter().map(|name| (name.as_str(), "v")));
        let request = WriteRequest { timeseries: vec![series(&labels, 2)] };
        assert_eq!(refused(Version::One, &request.encode_to_vec()), (2, vec![("label_limit", 2)]));
        let symbols = labels.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect();
        let one = TimeSeriesV2 { labels_refs: (0..2002).collect(), samples: samples(2), ..TimeSeriesV2::default() };
        let request = RequestV2 { symbols, timeseries: vec![one] };
        assert_eq!(refused(Version::Two, &request.encode_to_vec()), (2, vec![("label_limit", 2)]));
        let request = RequestV2 { symbols: vec![String::new(); SYMBOLS_MAX + 1], timeseries: Vec::new() };
        let refusal = decode(Version::Two, &request.encode_to_vec(), push()).err().unwrap();
        let told = "the body is no write request: it has more than 500000 symbols; send fewer series at a time";
        assert_eq!(refusal.to_string(), told);
    }

    #[test]
    fn what_is_no_request_is_told() {
        let body = WriteRequest { timeseries: vec![series(&[("__name__", "text")], 1)] }.encode_to_vec();
        let why = |body: &[u8]| decode(Version::One, body, push()).err().unwrap().to_string();
        assert_eq!(why(&body[..body.len() - 1]), "the body is no write request: the message is cut off");
        let at = body.windows(4).position(|window| window == b"text").unwrap();
        let mut body = body;
        body[at] = 0xff;
        assert_eq!(why(&body), "the body is no write request: a text is no UTF-8");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut whole = WriteRequest { timeseries: vec![series(&[("__name__", "a")], 2)] }.encode_to_vec();
            let place = at.index(whole.len());
            whole[place] = byte;
            for bytes in [bytes, whole] {
                let _ = decode(Version::One, &bytes, push());
                let _ = decode(Version::Two, &bytes, push());
            }
        }
    }
}
