//! The words behind the numbers of an entry, by their numbers in a block's texts.

use std::collections::HashMap;

use crate::pipeline::log_edges::Direction;
use crate::store::log::LogBlockBuilder;

const METHODS: [&str; 10] = ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const PROTOCOLS: [&str; 5] = ["", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];
const TLS_VERSIONS: [&str; 5] = ["", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
const ENTRY_TYPES: [&str; 15] = [
    "NotSet",
    "TcpUpstreamConnected",
    "TcpPeriodic",
    "TcpConnectionEnd",
    "DownstreamStart",
    "DownstreamPeriodic",
    "DownstreamEnd",
    "UpstreamPoolReady",
    "UpstreamPeriodic",
    "UpstreamEnd",
    "DownstreamTunnelSuccessfullyEstablished",
    "UdpTunnelUpstreamConnected",
    "UdpPeriodic",
    "UdpSessionEnd",
    "TcpConnectionStart",
];
/// By the number of the field in `ResponseFlags`.
const FLAGS: [&str; 29] = [
    "", "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE",
    "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR",
];

/// Looked up once for each block.
pub struct Words {
    methods: [u32; METHODS.len()],
    protocols: [u32; PROTOCOLS.len()],
    tls_versions: [u32; TLS_VERSIONS.len()],
    entry_types: [u32; ENTRY_TYPES.len()],
    directions: [u32; 2],
    flags: HashMap<u32, u32, ahash::RandomState>,
}

impl Words {
    pub fn new(builder: &mut LogBlockBuilder) -> Self {
        let mut id = |word: &str| builder.intern(word.as_bytes());
        Self {
            methods: METHODS.map(&mut id),
            protocols: PROTOCOLS.map(&mut id),
            tls_versions: TLS_VERSIONS.map(&mut id),
            entry_types: ENTRY_TYPES.map(&mut id),
            directions: [Direction::Inbound.as_str(), Direction::Outbound.as_str()].map(&mut id),
            flags: HashMap::default(),
        }
    }

    pub fn method(&self, number: u64) -> u32 {
        at(&self.methods, number)
    }

    pub fn protocol(&self, number: u64) -> u32 {
        at(&self.protocols, number)
    }

    pub fn tls_version(&self, number: u64) -> u32 {
        at(&self.tls_versions, number)
    }

    pub fn entry_type(&self, number: u64) -> u32 {
        at(&self.entry_types, number)
    }

    pub fn direction(&self, direction: Direction) -> u32 {
        self.directions[usize::from(direction == Direction::Outbound)]
    }

    /// The short names of the flags whose bits are set, in the order of their fields.
    pub fn flags(&mut self, bits: u32, builder: &mut LogBlockBuilder) -> u32 {
        *self.flags.entry(bits).or_insert_with(|| {
            let set = FLAGS.iter().enumerate().filter(|(number, flag)| bits & 1 << number != 0 && !flag.is_empty());
            let flags: Vec<&str> = set.map(|(_, flag)| *flag).collect();
            builder.intern(flags.join(",").as_bytes())
        })
    }

    /// The request or connection has ended: entries of other types tell of it in between.
    pub fn is_final(entry_type: u64) -> bool {
        matches!(entry_type, 0 | 3 | 6)
    }
}

fn at(ids: &[u32], number: u64) -> u32 {
    usize::try_from(number).ok().and_then(|index| ids.get(index)).copied().unwrap_or(0)
}
