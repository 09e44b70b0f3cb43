//! Which spans of a block a search is about, told by the columns alone.

use super::super::block::CorruptBlock;
use super::super::span::{AttributeValue, TraceQuery};
use super::attributes::OTHERS;
use super::columns::Cell;
use super::decode::SpanColumns;
use super::dictionary::Texts;
use super::facts::Fact;
use super::summary::Summary;
use super::values::read_attributes;
use super::wire::Reader;

/// Whether a block may have a span that matches.
pub fn may_match(query: &TraceQuery, summary: &[u8]) -> Result<bool, CorruptBlock> {
    let summary = Summary::read(summary)?;
    let service = query.service.as_deref();
    let (shortest_us, longest_us) = (summary.durations.0 / 1000, summary.durations.1 / 1000);
    Ok(service.is_none_or(|service| summary.may_have_service(service))
        && query.name.as_ref().is_none_or(|name| summary.may_have_operation(service, name))
        && query.remote_service.as_ref().is_none_or(|service| summary.may_have_remote(service))
        && query.duration_us_min.is_none_or(|min| longest_us >= min)
        && query.duration_us_max.is_none_or(|max| shortest_us <= max)
        && query.is_error.is_none_or(|wanted| if wanted { summary.has_error } else { summary.has_success })
        && query.annotations.iter().all(|(name, value)| {
            Fact::of(name, value.as_deref()).is_some_and(|fact| fact.may_be_in(&summary))
                || match value {
                    Some(value) => summary.may_have_value(name, value),
                    None => summary.may_have_name(name),
                }
        }))
}

/// A search, made ready.
pub struct Matcher {
    query: TraceQuery,
    text: Option<regex::bytes::Regex>,
}

/// A search in one block: what of its dictionaries is wanted.
struct Prepared<'q> {
    resources: Vec<bool>,
    name: Option<u32>,
    tags: Vec<Tag<'q>>,
}

struct Tag<'q> {
    name: &'q str,
    value: Option<&'q str>,
    /// Resources that have it.
    resources: Vec<bool>,
    /// Columns of its name, counted from 1.
    columns: Vec<u32>,
    /// What the span itself says under this name.
    fact: Option<Fact<'q>>,
    /// The event of its name.
    event: Option<u32>,
    /// Attributes of events that have it.
    event_attributes: Vec<bool>,
}

impl Matcher {
    pub fn new(query: &TraceQuery) -> Self {
        let text = query.text.as_ref().filter(|text| !text.is_empty()).and_then(|text| {
            let expression = regex::escape(text);
            // An escaped text is an expression; only one of a megabyte is too long for one, and no span has it.
            regex::bytes::RegexBuilder::new(&expression).case_insensitive(true).build().ok()
        });
        Self { query: query.clone(), text }
    }

    /// Rows that match, in no particular order.
    pub fn rows(&self, columns: &SpanColumns<'_>) -> Result<Vec<usize>, CorruptBlock> {
        let Some(prepared) = self.prepare(columns) else { return Ok(Vec::new()) };
        let texts = self.text.as_ref().map(|text| TextRows::new(columns, text));
        let mut rows = Vec::new();
        for row in 0..columns.len() {
            if self.is_wanted(columns, &prepared, row)?
                && self.has_remote(columns, row)?
                && prepared.tags.iter().try_fold(true, |all, tag| Ok(all && tag.is_in(columns, row)?))?
                && texts.as_ref().is_none_or(|texts| texts.has(columns, row))
            {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// `None` when nothing can match.
    fn prepare(&self, columns: &SpanColumns<'_>) -> Option<Prepared<'_>> {
        let service = self.query.service.as_deref();
        let resources: Vec<bool> =
            columns.resources.iter().map(|resource| service.is_none_or(|service| *resource.service == *service)).collect();
        let name = match &self.query.name {
            Some(name) => Some(place_of(&columns.names, name)?),
            None => None,
        };
        if !resources.contains(&true) {
            return None;
        }
        let tags = self.query.annotations.iter().map(|(name, value)| Tag::new(columns, name, value.as_deref())).collect();
        Some(Prepared { resources, name, tags })
    }

    fn is_wanted(&self, columns: &SpanColumns<'_>, prepared: &Prepared<'_>, row: usize) -> Result<bool, CorruptBlock> {
        let query = &self.query;
        let start_us = columns.start_ns(row).div_euclid(1000);
        let duration_us = columns.duration_ns(row) / 1000;
        let is_in_time = start_us >= query.from_us && start_us < query.to_us;
        let is_named = match prepared.name {
            Some(name) => columns.names.id(row)? == name,
            None => true,
        };
        Ok(is_in_time
            && is_named
            && prepared.resources.get(columns.resource_id(row)) == Some(&true)
            && query.duration_us_min.is_none_or(|min| duration_us >= min)
            && query.duration_us_max.is_none_or(|max| duration_us <= max)
            && query.is_error.is_none_or(|wanted| columns.is_error(row) == wanted))
    }

    fn has_remote(&self, columns: &SpanColumns<'_>, row: usize) -> Result<bool, CorruptBlock> {
        match &self.query.remote_service {
            Some(service) => Ok(columns.remote_service(row)? == Some(service.as_str())),
            None => Ok(true),
        }
    }
}

fn place_of(texts: &Texts<'_>, wanted: &str) -> Option<u32> {
    texts.entries.iter().position(|bytes| *bytes == wanted.as_bytes()).map(|place| place as u32)
}

impl<'q> Tag<'q> {
    fn new(columns: &SpanColumns<'_>, name: &'q str, value: Option<&'q str>) -> Self {
        let has = |(known, found): &(std::sync::Arc<str>, AttributeValue)| {
            &**known == name && value.is_none_or(|value| found.to_string() == value)
        };
        let resources = columns.resources.iter().map(|resource| resource.attributes.iter().any(has)).collect();
        let named = columns.attributes.columns.iter().zip(1u32..).filter(|(column, _)| column.name == name);
        let event = value.is_none().then(|| place_of(&columns.event_names, name)).flatten();
        let has_some = |bytes: &&[u8]| read_attributes(&mut Reader(bytes)).is_ok_and(|attributes| attributes.iter().any(has));
        let event_attributes = columns.event_attributes.entries.iter().map(has_some).collect();
        let columns = named.map(|(_, place)| place).collect();
        Self { name, value, resources, columns, fact: Fact::of(name, value), event, event_attributes }
    }

    fn is_in(&self, columns: &SpanColumns<'_>, row: usize) -> Result<bool, CorruptBlock> {
        if self.resources.get(columns.resource_id(row)) == Some(&true)
            || self.fact.as_ref().is_some_and(|fact| fact.is_in(columns, row))
        {
            return Ok(true);
        }
        for cell in columns.attributes.cells(row) {
            if self.is_cell(columns, cell)? {
                return Ok(true);
            }
        }
        Ok(columns.event_places(row).any(|place| {
            self.event.is_some_and(|event| columns.event_names.id(place) == Ok(event))
                || columns.event_attributes.id(place).is_ok_and(|id| self.event_attributes.get(id as usize) == Some(&true))
        }))
    }

    fn is_cell(&self, columns: &SpanColumns<'_>, (column, place): Cell) -> Result<bool, CorruptBlock> {
        if column == OTHERS {
            let (name, value) = columns.attributes.attribute((column, place))?;
            return Ok(*name == *self.name && self.value.is_none_or(|wanted| value.to_string() == wanted));
        }
        if !self.columns.contains(&column) {
            return Ok(false);
        }
        match (self.value, columns.attributes.columns.get(column as usize - 1)) {
            (Some(wanted), Some(column)) => column.is_text(place, wanted),
            (None, Some(_)) => Ok(true),
            (_, None) => Ok(false),
        }
    }
}

/// Which entries of the dictionaries have a text in them.
struct TextRows {
    names: Vec<bool>,
    messages: Vec<bool>,
    events: Vec<bool>,
    others: Vec<bool>,
    /// By column, counted from 0.
    columns: Vec<Vec<bool>>,
}

impl TextRows {
    fn new(columns: &SpanColumns<'_>, text: &regex::bytes::Regex) -> Self {
        let found = |texts: &Texts<'_>| texts.entries.iter().map(|bytes| text.is_match(bytes)).collect::<Vec<bool>>();
        let attributes = &columns.attributes;
        Self {
            names: found(&columns.names),
            messages: found(&columns.messages),
            events: found(&columns.event_names),
            others: found(&attributes.others),
            columns: attributes.columns.iter().map(|column| column.texts().map(found).unwrap_or_default()).collect(),
        }
    }

    fn has(&self, columns: &SpanColumns<'_>, row: usize) -> bool {
        let is_found = |found: &[bool], texts: &Texts<'_>, place: usize| {
            texts.ids.get(place).and_then(|id| found.get(*id as usize)) == Some(&true)
        };
        let attributes = &columns.attributes;
        is_found(&self.names, &columns.names, row)
            || is_found(&self.messages, &columns.messages, row)
            || columns.event_places(row).any(|place| is_found(&self.events, &columns.event_names, place))
            || attributes.cells(row).any(|(column, place)| match column {
                OTHERS => is_found(&self.others, &attributes.others, place),
                column => {
                    let column = column as usize - 1;
                    let texts = attributes.columns.get(column).and_then(|column| column.texts());
                    texts.zip(self.columns.get(column)).is_some_and(|(texts, found)| is_found(found, texts, place))
                }
            })
    }
}
