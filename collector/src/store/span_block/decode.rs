//! A block's columns as they are read, and spans made of them again.

use std::sync::Arc;

use super::super::block::CorruptBlock;
use super::super::span::{Endpoint, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink};
use super::columns::AttributeTable;
use super::dictionary::Texts;
use super::values::{endpoint_service, read_attributes, read_endpoint, read_link, read_resource, read_scope};
use super::wire::{Reader, unzigzag};
use super::{DEBUG, ERROR, OK, REMOTE, SHARED, kind_of};

const SHORT: CorruptBlock = CorruptBlock("a column is too short");

/// The columns of one block; spans are only made of the rows that are asked for.
pub struct SpanColumns<'a> {
    flags: &'a [u8],
    /// Nanoseconds.
    starts: Vec<i64>,
    durations: Vec<i64>,
    parents: Vec<Option<[u8; 8]>>,
    pub(super) trace_ids: Texts<'a>,
    ids: &'a [u8],
    pub(super) names: Texts<'a>,
    resource_ids: Vec<u32>,
    pub(super) resources: Vec<Arc<Resource>>,
    scope_ids: Vec<u32>,
    scopes: Vec<Arc<Scope>>,
    locals: Texts<'a>,
    remotes: Texts<'a>,
    /// Of each row: how many rows before it have a remote endpoint.
    remote_places: Vec<u32>,
    pub(super) messages: Texts<'a>,
    pub(super) trace_states: Texts<'a>,
    w3c_flags: Vec<u64>,
    pub(super) attributes: AttributeTable<'a>,
    /// Where the events of each row begin, and one more.
    event_begins: Vec<usize>,
    event_times: Vec<u64>,
    pub(super) event_names: Texts<'a>,
    pub(super) event_attributes: Texts<'a>,
    link_begins: Vec<usize>,
    links: Texts<'a>,
}

impl<'a> SpanColumns<'a> {
    /// Reads what [`super::unpack`] gave.
    pub fn read(raw: &'a [u8]) -> Result<Self, CorruptBlock> {
        let mut reader = Reader(raw);
        let rows = reader.size()?;
        let unit = i64::try_from(reader.number()?).map_err(|_| CorruptBlock("its unit is too large"))?;
        let starts = read_starts(Reader(reader.bytes()?), unit)?;
        let durations = Reader(reader.bytes()?).numbers()?;
        let durations = durations.into_iter().map(|duration| unzigzag(duration).wrapping_mul(unit)).collect();
        let (codes, others) = (Reader(reader.bytes()?).numbers()?, reader.bytes()?);
        let flags = reader.bytes()?;
        let trace_ids = Texts::read(&mut reader)?;
        let ids = reader.bytes()?;
        let names = Texts::read(&mut reader)?;
        let resources = Texts::read(&mut reader)?;
        let scopes = Texts::read(&mut reader)?;
        let (locals, remotes) = (Texts::read(&mut reader)?, Texts::read(&mut reader)?);
        let (messages, trace_states) = (Texts::read(&mut reader)?, Texts::read(&mut reader)?);
        let w3c_flags = Reader(reader.bytes()?).numbers()?;
        let attributes = AttributeTable::read(&mut reader, rows)?;
        let event_begins = begins(Reader(reader.bytes()?))?;
        let event_times = Reader(reader.bytes()?).numbers()?;
        let (event_names, event_attributes) = (Texts::read(&mut reader)?, Texts::read(&mut reader)?);
        let link_begins = begins(Reader(reader.bytes()?))?;
        let links = Texts::read(&mut reader)?;
        let columns = Self {
            flags,
            starts,
            durations,
            parents: read_parents(&codes, others, ids)?,
            trace_ids,
            ids,
            names,
            resource_ids: resources.ids,
            resources: resources.entries.iter().map(|bytes| read_resource(bytes).map(Arc::new)).collect::<Result<_, _>>()?,
            scope_ids: scopes.ids,
            scopes: scopes.entries.iter().map(|bytes| read_scope(bytes).map(Arc::new)).collect::<Result<_, _>>()?,
            locals,
            remotes,
            remote_places: remote_places(flags),
            messages,
            trace_states,
            w3c_flags,
            attributes,
            event_begins,
            event_times,
            event_names,
            event_attributes,
            link_begins,
            links,
        };
        if columns.lengths().iter().all(|length| *length == rows) { Ok(columns) } else { Err(SHORT) }
    }

    /// Of all columns that every row has.
    fn lengths(&self) -> [usize; 13] {
        [
            self.flags.len(),
            self.starts.len(),
            self.durations.len(),
            self.parents.len(),
            self.trace_ids.ids.len(),
            self.ids.len() / 8,
            self.names.ids.len(),
            self.resource_ids.len(),
            self.scope_ids.len(),
            self.locals.ids.len(),
            self.w3c_flags.len(),
            self.event_begins.len() - 1,
            self.link_begins.len() - 1,
        ]
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub fn start_ns(&self, row: usize) -> i64 {
        self.starts.get(row).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn duration_ns(&self, row: usize) -> i64 {
        self.durations.get(row).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn is_error(&self, row: usize) -> bool {
        self.flag(row, ERROR)
    }

    pub(super) fn is_ok(&self, row: usize) -> bool {
        self.flag(row, OK)
    }

    pub(super) fn kind(&self, row: usize) -> SpanKind {
        self.flags.get(row).map_or(SpanKind::Unspecified, |flags| kind_of(*flags))
    }

    pub(super) fn scope(&self, row: usize) -> Option<&Scope> {
        self.scopes.get(*self.scope_ids.get(row)? as usize).map(|scope| &**scope)
    }

    pub fn trace_id(&self, row: usize) -> Result<[u8; 16], CorruptBlock> {
        self.trace_ids.bytes(row)?.try_into().map_err(|_| CorruptBlock("a trace id has the wrong length"))
    }

    /// Rows of the traces that are wanted.
    pub(in super::super) fn rows_of(&self, mut is_wanted: impl FnMut(&[u8; 16]) -> bool) -> Vec<usize> {
        let mut wanted = |bytes: &&[u8]| <&[u8; 16]>::try_from(*bytes).is_ok_and(&mut is_wanted);
        let entries: Vec<bool> = self.trace_ids.entries.iter().map(&mut wanted).collect();
        let rows = self.trace_ids.ids.iter().enumerate();
        rows.filter(|(_, id)| entries.get(**id as usize) == Some(&true)).map(|(row, _)| row).collect()
    }

    /// Place in [`Self::resources`].
    pub(super) fn resource_id(&self, row: usize) -> usize {
        self.resource_ids.get(row).map_or(usize::MAX, |id| *id as usize)
    }

    fn flag(&self, row: usize, flag: u8) -> bool {
        self.flags.get(row).is_some_and(|flags| flags & flag != 0)
    }

    fn resource(&self, row: usize) -> Result<&Arc<Resource>, CorruptBlock> {
        self.resources.get(self.resource_id(row)).ok_or(SHORT)
    }

    fn remote_place(&self, row: usize) -> Option<usize> {
        self.flag(row, REMOTE).then(|| self.remote_places.get(row).map_or(usize::MAX, |place| *place as usize))
    }

    /// Name of the service at the other end.
    pub(super) fn remote_service(&self, row: usize) -> Result<Option<&str>, CorruptBlock> {
        let Some(place) = self.remote_place(row) else { return Ok(None) };
        endpoint_service(self.remotes.bytes(place)?, &self.resource(row)?.service).map(Some)
    }

    pub(super) fn event_places(&self, row: usize) -> std::ops::Range<usize> {
        match (self.event_begins.get(row), self.event_begins.get(row + 1)) {
            (Some(begin), Some(end)) => *begin..*end,
            _ => 0..0,
        }
    }

    /// Makes the span of a row.
    pub fn span(&self, row: usize) -> Result<Span, CorruptBlock> {
        let flags = *self.flags.get(row).ok_or(SHORT)?;
        let resource = Arc::clone(self.resource(row)?);
        let remote = self.remote_place(row).map(|place| self.endpoint(&self.remotes, place, &resource)).transpose()?;
        let scope = *self.scope_ids.get(row).ok_or(SHORT)? as usize;
        Ok(Span {
            trace_id: self.trace_id(row)?,
            id: id_at(self.ids, row)?,
            parent_id: *self.parents.get(row).ok_or(SHORT)?,
            kind: kind_of(flags),
            shared: flags & SHARED != 0,
            debug: flags & DEBUG != 0,
            is_error: flags & ERROR != 0,
            is_ok: flags & OK != 0,
            scope: Arc::clone(self.scopes.get(scope).ok_or(SHORT)?),
            name: self.names.text(row)?.to_owned(),
            start_ns: self.start_ns(row),
            duration_ns: self.duration_ns(row),
            status_message: self.messages.text(row)?.to_owned(),
            trace_state: self.trace_states.text(row)?.to_owned(),
            flags: self.w3c_flags.get(row).map_or(0, |flags| *flags as u32),
            local: self.endpoint(&self.locals, row, &resource)?,
            remote,
            attributes: self.attributes.attributes(row)?,
            events: self.event_places(row).map(|place| self.event(row, place)).collect::<Result<_, _>>()?,
            links: self.row_links(row)?,
            resource,
        })
    }

    fn endpoint(&self, column: &Texts<'_>, place: usize, resource: &Resource) -> Result<Endpoint, CorruptBlock> {
        read_endpoint(column.bytes(place)?, &resource.service)
    }

    fn event(&self, row: usize, place: usize) -> Result<SpanEvent, CorruptBlock> {
        let after = unzigzag(*self.event_times.get(place).ok_or(SHORT)?);
        Ok(SpanEvent {
            at_ns: self.start_ns(row).wrapping_add(after),
            name: self.event_names.shared(place)?,
            attributes: read_attributes(&mut Reader(self.event_attributes.bytes(place)?))?,
        })
    }

    fn row_links(&self, row: usize) -> Result<Vec<SpanLink>, CorruptBlock> {
        let (begin, end) = (self.link_begins.get(row).ok_or(SHORT)?, self.link_begins.get(row + 1).ok_or(SHORT)?);
        (*begin..*end).map(|place| read_link(self.links.bytes(place)?)).collect()
    }
}

fn read_starts(reader: Reader<'_>, unit: i64) -> Result<Vec<i64>, CorruptBlock> {
    let mut at = 0i64;
    let next = |difference: u64| {
        at = at.wrapping_add(unzigzag(difference));
        at.wrapping_mul(unit)
    };
    Ok(reader.numbers()?.into_iter().map(next).collect())
}

/// Undoes `encode::write_parents`.
fn read_parents(codes: &[u64], others: &[u8], ids: &[u8]) -> Result<Vec<Option<[u8; 8]>>, CorruptBlock> {
    let mut others = Reader(others);
    let mut parents = Vec::with_capacity(codes.len());
    for (row, code) in codes.iter().enumerate() {
        parents.push(match code {
            0 => None,
            1 => Some(others.array()?),
            code => {
                let parent = (row as i64).checked_sub(unzigzag(code - 2)).and_then(|row| usize::try_from(row).ok());
                Some(id_at(ids, parent.ok_or(SHORT)?)?)
            }
        });
    }
    Ok(parents)
}

fn id_at(ids: &[u8], row: usize) -> Result<[u8; 8], CorruptBlock> {
    let begin = row.checked_mul(8).ok_or(SHORT)?;
    ids.get(begin..).and_then(|rest| rest.first_chunk::<8>()).copied().ok_or(SHORT)
}

fn remote_places(flags: &[u8]) -> Vec<u32> {
    let mut before = 0u32;
    let place = |flags: &u8| {
        let place = before;
        before += u32::from(flags & REMOTE != 0);
        place
    };
    flags.iter().map(place).collect()
}

/// Sums of counts, from 0 on.
fn begins(counts: Reader<'_>) -> Result<Vec<usize>, CorruptBlock> {
    let mut begins = vec![0usize];
    let mut at = 0usize;
    for count in counts.numbers()? {
        let count = usize::try_from(count).map_err(|_| CorruptBlock("a count is too large"))?;
        at = at.checked_add(count).filter(|at| *at <= super::RAW_BYTES_MAX).ok_or(CorruptBlock("a count is too large"))?;
        begins.push(at);
    }
    Ok(begins)
}
