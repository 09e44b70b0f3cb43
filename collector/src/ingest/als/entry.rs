//! Reads the entries of a message into a block of logs, and counts the requests that have ended.

use std::collections::HashMap;
use std::sync::Arc;

use super::identity::StreamIdentity;
use super::properties::{Scratch, http_request, http_response, tcp_connection};
use super::structs::{Payload, payload, peer};
use super::wire::{BadWire, Fields, Value};
use super::words::Words;
use crate::ingest::door::Times;
use crate::pipeline::log_edges::{CallAmounts, CallKey, Direction, LogEdges, LogProtocol, PeerIds};
use crate::store::log::{AttributeRef, LogBlockBuilder, NumberField, TextField};

/// Peers that are remembered by their bytes while a block is filled.
const PEERS_CACHED_MAX: usize = 10_000;
/// A step of the finest rollup.
const STEP_NS: i64 = 10_000_000_000;

/// HTTP or TCP: a stream has one kind, each message says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Http,
    Tcp,
}

/// What became of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    pub received: u64,
    pub undecodable: u64,
    pub too_old: u64,
    pub in_future: u64,
}

impl EntryCounts {
    pub fn refused(&self) -> u64 {
        self.undecodable + self.too_old + self.in_future
    }
}

/// A block that is being filled, with the edges of its lines.
pub struct Filler {
    pub builder: LogBlockBuilder,
    pub edges: LogEdges,
    pub counts: EntryCounts,
    words: Words,
    peers: HashMap<Box<[u8]>, PeerIds, ahash::RandomState>,
    directions: HashMap<u32, Option<Direction>, ahash::RandomState>,
    sources: HashMap<usize, Source, ahash::RandomState>,
    /// Keeps the addresses in `sources` from being used again.
    identities: Vec<Arc<StreamIdentity>>,
    scratch: Scratch,
}

/// What a stream is in this block.
#[derive(Clone, Copy)]
struct Source {
    resource: u32,
    node: u32,
    direction: Option<Direction>,
}

/// What an entry tells beside its fields.
#[derive(Default)]
struct Facts {
    start_ns: i64,
    entry_type: u64,
    is_intermediate: bool,
    upstream: PeerIds,
    downstream: PeerIds,
    peer_principal: u32,
    local_principal: u32,
}

impl Filler {
    #[must_use]
    pub fn new() -> Self {
        let mut builder = LogBlockBuilder::new();
        let words = Words::new(&mut builder);
        Self {
            builder,
            words,
            edges: LogEdges::default(),
            counts: EntryCounts::default(),
            peers: HashMap::default(),
            directions: HashMap::default(),
            sources: HashMap::default(),
            identities: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Adds one entry; one that cannot be read is counted and leaves nothing behind.
    pub fn add(&mut self, identity: &Arc<StreamIdentity>, kind: EntryKind, entry: &[u8], times: Times) {
        self.counts.received += 1;
        let source = self.source(identity);
        match self.read(kind, entry) {
            Ok(facts) => self.end(source, kind, &facts, times),
            Err(BadWire) => {
                self.counts.undecodable += 1;
                self.builder.discard();
            }
        }
    }

    fn source(&mut self, identity: &Arc<StreamIdentity>) -> Source {
        let place = Arc::as_ptr(identity) as usize;
        if let Some(source) = self.sources.get(&place) {
            return *source;
        }
        let source = Source {
            resource: self.builder.resource(&identity.resource),
            node: self.edges.node(&identity.node),
            direction: identity.direction,
        };
        self.identities.push(Arc::clone(identity));
        self.sources.insert(place, source);
        source
    }

    fn read(&mut self, kind: EntryKind, entry: &[u8]) -> Result<Facts, BadWire> {
        let mut facts = Facts::default();
        self.scratch.clear();
        let mut fields = Fields(entry);
        while let Some((number, value)) = fields.next()? {
            match (kind, number) {
                (_, 1) => self.common(value.message()?, &mut facts)?,
                (EntryKind::Http, 2) => {
                    let protocol = self.words.protocol(value.number()?);
                    self.builder.text_id(TextField::Protocol, protocol);
                }
                (EntryKind::Http, 3) => http_request(&mut self.builder, &self.words, &mut self.scratch, value.message()?)?,
                (EntryKind::Http, 4) => http_response(&mut self.builder, &mut self.scratch, value.message()?)?,
                (EntryKind::Tcp, 2) => tcp_connection(&mut self.builder, value.message()?)?,
                _ => {}
            }
        }
        Ok(facts)
    }

    /// `AccessLogCommon`, by the numbers of its fields.
    fn common(&mut self, mut fields: Fields<'_>, facts: &mut Facts) -> Result<(), BadWire> {
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.sample_rate(value)?,
                2 => self.address(TextField::DownstreamRemote, value)?,
                3 => self.address(TextField::DownstreamLocal, value)?,
                4 => self.tls(value.message()?, facts)?,
                5 => facts.start_ns = value.nanos()?,
                6..=12 => self.duration(TIMES[number as usize - 6], value)?,
                13 => self.address(TextField::UpstreamHost, value)?,
                14 => self.address(TextField::UpstreamLocal, value)?,
                15 => self.builder.text(TextField::UpstreamCluster, value.bytes()?),
                16 => self.flags(value.message()?)?,
                17 => self.metadata(value.message()?)?,
                18 => self.builder.text(TextField::UpstreamFailure, value.bytes()?),
                19 => self.builder.text(TextField::RouteName, value.bytes()?),
                20 => self.address(TextField::DownstreamDirect, value)?,
                21 => self.filter_state(value, facts)?,
                22 => {
                    let (name, text) = value.map_entry()?;
                    self.builder.attribute(name, AttributeRef::Text(text));
                }
                23 => self.duration(NumberField::DurationUs, value)?,
                24 => self.builder.number(NumberField::Attempts, value.number()?),
                25 => self.builder.text(TextField::TerminationDetails, value.bytes()?),
                26 => self.builder.text(TextField::StreamId, value.bytes()?),
                27 => facts.is_intermediate = value.number()? != 0,
                28 => self.builder.text(TextField::DownstreamFailure, value.bytes()?),
                29 => self.builder.number(NumberField::DownstreamWireBytesSent, value.number()?),
                30 => self.builder.number(NumberField::DownstreamWireBytesReceived, value.number()?),
                31 => self.builder.number(NumberField::UpstreamWireBytesSent, value.number()?),
                32 => self.builder.number(NumberField::UpstreamWireBytesReceived, value.number()?),
                33 => facts.entry_type = value.number()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn sample_rate(&mut self, value: Value<'_>) -> Result<(), BadWire> {
        let Value::Fixed64(bits) = value else { return Err(BadWire) };
        if f64::from_bits(bits) > 0.0 {
            self.builder.number(NumberField::SampleRate, bits);
        }
        Ok(())
    }

    /// A negative one, as of a clock that was set back, is left out.
    fn duration(&mut self, field: NumberField, value: Value<'_>) -> Result<(), BadWire> {
        if let Ok(nanos) = u64::try_from(value.nanos()?) {
            self.builder.number(field, nanos / 1000);
        }
        Ok(())
    }

    /// `envoy.config.core.v3.Address`.
    fn address(&mut self, field: TextField, value: Value<'_>) -> Result<(), BadWire> {
        let (mut text, mut port) = (&[][..], None);
        let mut fields = value.message()?;
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    let mut socket = value.message()?;
                    while let Some((number, value)) = socket.next()? {
                        match number {
                            2 => text = value.bytes()?,
                            3 => port = Some(value.number()?),
                            _ => {}
                        }
                    }
                }
                // A pipe, or an internal listener by its name.
                2 | 4 => {
                    let mut inner = value.message()?;
                    while let Some((number, value)) = inner.next()? {
                        if let (1, Value::Bytes(name)) = (number, value) {
                            text = name;
                        }
                    }
                }
                _ => {}
            }
        }
        self.builder.text(field, text);
        if let (Some(port), Some(field)) = (port, field.port()) {
            self.builder.number(field, port);
        }
        Ok(())
    }

    /// `ResponseFlags`: a field for each flag.
    fn flags(&mut self, mut fields: Fields<'_>) -> Result<(), BadWire> {
        let mut bits = 0u32;
        while let Some((number, value)) = fields.next()? {
            let is_set = match value {
                Value::Varint(flag) => flag != 0,
                // Unauthorized: has one reason, the external service.
                Value::Bytes(_) => value.wrapped_number()? == 1,
                _ => false,
            };
            if is_set && number < 32 {
                bits |= 1 << number;
            }
        }
        if bits != 0 {
            let flags = self.words.flags(bits, &mut self.builder);
            self.builder.text_id(TextField::Flags, flags);
        }
        Ok(())
    }

    fn tls(&mut self, mut fields: Fields<'_>, facts: &mut Facts) -> Result<(), BadWire> {
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    let version = self.words.tls_version(value.number()?);
                    self.builder.text_id(TextField::TlsVersion, version);
                }
                2 => self.builder.number(NumberField::TlsCipher, value.wrapped_number()?),
                3 => self.builder.text(TextField::Sni, value.bytes()?),
                4 => self.certificate(value.message()?, TextField::LocalSan, TextField::LocalSubject, None)?,
                5 => {
                    let issuer = Some(TextField::PeerIssuer);
                    self.certificate(value.message()?, TextField::PeerSan, TextField::PeerSubject, issuer)?;
                }
                6 => self.builder.text(TextField::TlsSession, value.bytes()?),
                7 => self.builder.text(TextField::Ja3, value.bytes()?),
                _ => {}
            }
        }
        facts.local_principal = self.builder.filled_text(TextField::LocalSan);
        facts.peer_principal = self.builder.filled_text(TextField::PeerSan);
        Ok(())
    }

    /// Of several names the first URI counts.
    fn certificate(
        &mut self,
        mut fields: Fields<'_>,
        san: TextField,
        subject: TextField,
        issuer: Option<TextField>,
    ) -> Result<(), BadWire> {
        while let Some((number, value)) = fields.next()? {
            match (number, issuer) {
                (1, _) if self.builder.filled_text(san) == 0 => {
                    let mut names = value.message()?;
                    while let Some((number, value)) = names.next()? {
                        if number == 1 {
                            self.builder.text(san, value.bytes()?);
                        }
                    }
                }
                (2, _) => self.builder.text(subject, value.bytes()?),
                (3, Some(issuer)) => self.builder.text(issuer, value.bytes()?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Dynamic metadata, one attribute for each filter that left some.
    fn metadata(&mut self, mut fields: Fields<'_>) -> Result<(), BadWire> {
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                let (name, body) = value.map_entry()?;
                let json = super::structs::json(body)?.to_string();
                self.scratch.name(b"metadata.", name);
                self.builder.attribute(&self.scratch.name, AttributeRef::Json(json.as_bytes()));
            }
        }
        Ok(())
    }

    fn filter_state(&mut self, value: Value<'_>, facts: &mut Facts) -> Result<(), BadWire> {
        let (key, any) = value.map_entry()?;
        match key {
            b"upstream_peer" | b"wasm.upstream_peer" => facts.upstream = self.peer(any)?,
            b"downstream_peer" | b"wasm.downstream_peer" => facts.downstream = self.peer(any)?,
            _ => {
                let Payload::Text(text) = payload(any)? else { return Ok(()) };
                match key {
                    b"io.istio.peer_principal" => facts.peer_principal = self.builder.intern(text),
                    b"io.istio.local_principal" => facts.local_principal = self.builder.intern(text),
                    _ => {
                        self.scratch.name(b"filter_state.", key);
                        self.builder.attribute(&self.scratch.name, AttributeRef::Text(text));
                    }
                }
            }
        }
        Ok(())
    }

    fn peer(&mut self, any: &[u8]) -> Result<PeerIds, BadWire> {
        if let Some(ids) = self.peers.get(any) {
            return Ok(*ids);
        }
        let Payload::Struct(bytes) = payload(any)? else { return Ok(PeerIds::default()) };
        let texts = peer(bytes)?;
        let mut id = |text: &[u8]| self.builder.intern(text);
        let ids = PeerIds {
            workload: id(texts.workload),
            namespace: id(texts.namespace),
            service: id(texts.service),
            revision: id(texts.revision),
            cluster: id(texts.cluster),
            principal: id(texts.principal),
        };
        if self.peers.len() < PEERS_CACHED_MAX {
            self.peers.insert(any.into(), ids);
        }
        Ok(ids)
    }

    fn end(&mut self, source: Source, kind: EntryKind, facts: &Facts, times: Times) {
        let duration_us = self.builder.filled_number(NumberField::DurationUs).or_else(|| {
            // Older proxies tell when the last byte went down instead.
            self.builder.filled_number(NumberField::LastDownstreamTxUs)
        });
        let lasted_ns = i64::try_from(duration_us.unwrap_or(0).saturating_mul(1000)).unwrap_or(i64::MAX);
        let end_ns = facts.start_ns.saturating_add(lasted_ns);
        // A connection may have begun long before what is kept; its line stands where it ended.
        let time_ns = if facts.start_ns < times.oldest_ns { end_ns } else { facts.start_ns };
        if let Err(reason) = times.check(time_ns) {
            let refused = if reason == "too_old" { &mut self.counts.too_old } else { &mut self.counts.in_future };
            *refused += 1;
            return self.builder.discard();
        }
        let is_inbound = self.direction(source) == Some(Direction::Inbound);
        self.peers_of(facts);
        let entry_type = self.words.entry_type(facts.entry_type);
        self.builder.text_id(TextField::EntryType, entry_type);
        self.scratch.trace(&mut self.builder);
        if !facts.is_intermediate && Words::is_final(facts.entry_type) {
            let at_ns = if end_ns > times.now_ns || end_ns < times.oldest_ns { times.now_ns } else { end_ns };
            let key = self.call(source, kind, facts, is_inbound, at_ns);
            let amounts = self.amounts(kind, duration_us);
            self.edges.add(key, amounts, &self.builder);
        }
        self.builder.end(time_ns / 1000 * 1000, source.resource, None);
    }

    /// Told by the cluster, else by the log's name.
    fn direction(&mut self, source: Source) -> Option<Direction> {
        let cluster = self.builder.filled_text(TextField::UpstreamCluster);
        let (builder, told) = (&self.builder, source.direction);
        let direction = self.directions.entry(cluster).or_insert_with(|| Direction::of_cluster(builder.string(cluster)));
        let direction = (*direction).or(told);
        if let Some(direction) = direction {
            self.builder.text_id(TextField::Direction, self.words.direction(direction));
        }
        direction
    }

    fn peers_of(&mut self, facts: &Facts) {
        let (up, down) = (facts.upstream, facts.downstream);
        for (field, id) in [
            (TextField::UpstreamWorkload, up.workload),
            (TextField::UpstreamNamespace, up.namespace),
            (TextField::UpstreamService, up.service),
            (TextField::UpstreamRevision, up.revision),
            (TextField::UpstreamClusterId, up.cluster),
            (TextField::UpstreamPrincipal, up.principal),
            (TextField::DownstreamWorkload, down.workload),
            (TextField::DownstreamNamespace, down.namespace),
            (TextField::DownstreamService, down.service),
            (TextField::DownstreamRevision, down.revision),
            (TextField::DownstreamCluster, down.cluster),
            (TextField::DownstreamPrincipal, down.principal),
        ] {
            if id != 0 {
                self.builder.text_id(field, id);
            }
        }
    }

    fn call(&self, source: Source, kind: EntryKind, facts: &Facts, is_inbound: bool, at_ns: i64) -> CallKey {
        let text = |field| self.builder.filled_text(field);
        let grpc_status = text(TextField::GrpcStatus);
        let protocol = match kind {
            EntryKind::Tcp => LogProtocol::Tcp,
            EntryKind::Http if grpc_status != 0 || self.scratch.is_grpc => LogProtocol::Grpc,
            EntryKind::Http => LogProtocol::Http,
        };
        let code = self.builder.filled_number(NumberField::ResponseCode).unwrap_or(0);
        CallKey {
            step_s: at_ns.div_euclid(STEP_NS) * (STEP_NS / 1_000_000_000),
            node: source.node,
            is_inbound,
            protocol,
            code: u16::try_from(code).unwrap_or(0),
            grpc_status,
            flags: text(TextField::Flags),
            cluster: text(TextField::UpstreamCluster),
            route: text(TextField::RouteName),
            authority: text(TextField::Authority),
            peer: if is_inbound { facts.downstream } else { facts.upstream },
            peer_principal: if is_inbound { facts.peer_principal } else { 0 },
            local_principal: if is_inbound { facts.local_principal } else { 0 },
        }
    }

    /// As Istio's metrics count: of HTTP all bytes on the wire, of TCP what the connection carried.
    fn amounts(&self, kind: EntryKind, duration_us: Option<u64>) -> CallAmounts {
        let number = |field| self.builder.filled_number(field);
        let (received, sent) = match kind {
            EntryKind::Http => (NumberField::DownstreamWireBytesReceived, NumberField::DownstreamWireBytesSent),
            EntryKind::Tcp => (NumberField::BytesReceived, NumberField::BytesSent),
        };
        let bytes = |wanted, other| number(wanted).or_else(|| number(other)).unwrap_or(0);
        CallAmounts {
            duration_us,
            received_bytes: bytes(received, NumberField::BytesReceived),
            sent_bytes: bytes(sent, NumberField::BytesSent),
        }
    }
}

impl Default for Filler {
    fn default() -> Self {
        Self::new()
    }
}

const TIMES: [NumberField; 7] = [
    NumberField::LastRxUs,
    NumberField::FirstUpstreamTxUs,
    NumberField::LastUpstreamTxUs,
    NumberField::FirstUpstreamRxUs,
    NumberField::LastUpstreamRxUs,
    NumberField::FirstDownstreamTxUs,
    NumberField::LastDownstreamTxUs,
];
