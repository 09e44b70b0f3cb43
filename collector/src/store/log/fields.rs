//! The well-known fields of an access log: their names, and the numbers under which blocks at rest know them.

macro_rules! fields {
    ($(#[$doc:meta])* $Type:ident { $($Name:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        /// New ones are only ever added at the end: blocks at rest know them by their place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $Type { $($Name),+ }

        impl $Type {
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$Name),+];

            /// The name in JSON: that of Istio's JSON access log where it has one.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => $text),+
                }
            }

            pub(super) fn index(self) -> usize {
                self as usize
            }
        }
    };
}

fields! {
    /// Fields whose value is a text; an absent one is empty.
    TextField {
        Direction = "direction",
        Method = "method",
        Scheme = "scheme",
        Authority = "authority",
        // As the client sent it.
        Path = "path",
        // Where a route changed it.
        RewrittenPath = "rewritten_path",
        Protocol = "protocol",
        UserAgent = "user_agent",
        Referer = "referer",
        ForwardedFor = "x_forwarded_for",
        RequestId = "request_id",
        StreamId = "stream_id",
        Flags = "response_flags",
        CodeDetails = "response_code_details",
        TerminationDetails = "connection_termination_details",
        UpstreamFailure = "upstream_transport_failure_reason",
        DownstreamFailure = "downstream_transport_failure_reason",
        RouteName = "route_name",
        UpstreamCluster = "upstream_cluster",
        // Addresses are kept apart from their ports, which differ from line to line.
        UpstreamHost = "upstream_host",
        UpstreamLocal = "upstream_local_address",
        DownstreamLocal = "downstream_local_address",
        DownstreamRemote = "downstream_remote_address",
        DownstreamDirect = "downstream_direct_remote_address",
        Sni = "requested_server_name",
        TlsVersion = "downstream_tls_version",
        LocalSan = "downstream_local_uri_san",
        PeerSan = "downstream_peer_uri_san",
        LocalSubject = "downstream_local_subject",
        PeerSubject = "downstream_peer_subject",
        PeerIssuer = "downstream_peer_issuer",
        TlsSession = "downstream_tls_session_id",
        Ja3 = "ja3_fingerprint",
        GrpcStatus = "grpc_status",
        EntryType = "access_log_type",
        DownstreamWorkload = "downstream_workload",
        DownstreamNamespace = "downstream_namespace",
        DownstreamService = "downstream_service",
        DownstreamRevision = "downstream_revision",
        DownstreamCluster = "downstream_cluster",
        DownstreamPrincipal = "downstream_principal",
        UpstreamWorkload = "upstream_workload",
        UpstreamNamespace = "upstream_namespace",
        UpstreamService = "upstream_service",
        UpstreamRevision = "upstream_revision",
        UpstreamClusterId = "upstream_cluster_id",
        UpstreamPrincipal = "upstream_principal",
        // Of any log.
        Body = "body",
        SeverityText = "severity_text",
        EventName = "event_name",
    }
}

fields! {
    /// Fields whose value is a number; bytes, microseconds, ports and codes.
    NumberField {
        ResponseCode = "response_code",
        BytesReceived = "bytes_received",
        BytesSent = "bytes_sent",
        RequestHeadersBytes = "request_headers_bytes",
        ResponseHeadersBytes = "response_headers_bytes",
        DownstreamHeaderBytesReceived = "downstream_header_bytes_received",
        DownstreamHeaderBytesSent = "downstream_header_bytes_sent",
        UpstreamHeaderBytesReceived = "upstream_header_bytes_received",
        UpstreamHeaderBytesSent = "upstream_header_bytes_sent",
        DownstreamWireBytesReceived = "downstream_wire_bytes_received",
        DownstreamWireBytesSent = "downstream_wire_bytes_sent",
        UpstreamWireBytesReceived = "upstream_wire_bytes_received",
        UpstreamWireBytesSent = "upstream_wire_bytes_sent",
        // Since the start, in the order in which they happen.
        LastRxUs = "time_to_last_rx_byte_us",
        FirstUpstreamTxUs = "time_to_first_upstream_tx_byte_us",
        LastUpstreamTxUs = "time_to_last_upstream_tx_byte_us",
        FirstUpstreamRxUs = "time_to_first_upstream_rx_byte_us",
        LastUpstreamRxUs = "time_to_last_upstream_rx_byte_us",
        FirstDownstreamTxUs = "time_to_first_downstream_tx_byte_us",
        LastDownstreamTxUs = "time_to_last_downstream_tx_byte_us",
        DurationUs = "duration_us",
        UpstreamServiceTimeMs = "upstream_service_time_ms",
        Attempts = "upstream_request_attempt_count",
        UpstreamHostPort = "upstream_host_port",
        UpstreamLocalPort = "upstream_local_port",
        DownstreamLocalPort = "downstream_local_port",
        DownstreamRemotePort = "downstream_remote_port",
        DownstreamDirectPort = "downstream_direct_remote_port",
        RequestPort = "request_port",
        TlsCipher = "downstream_tls_cipher_suite",
        // Bits of a double.
        SampleRate = "sample_rate",
        // Of any log.
        Severity = "severity",
        // Nanoseconds between the time of the line and its observation, zigzag.
        ObservedDelay = "observed_delay_ns",
        TraceFlags = "trace_flags",
    }
}

impl TextField {
    /// Values that differ from line to line and mostly are UUIDs: they are kept as 16 bytes.
    pub(super) fn is_id(self) -> bool {
        matches!(self, Self::RequestId | Self::StreamId)
    }

    /// Belongs to every log, not to access logs.
    #[must_use]
    pub fn is_common(self) -> bool {
        matches!(self, Self::Body | Self::SeverityText | Self::EventName)
    }

    /// The port that belongs to an address.
    #[must_use]
    pub fn port(self) -> Option<NumberField> {
        Some(match self {
            Self::UpstreamHost => NumberField::UpstreamHostPort,
            Self::UpstreamLocal => NumberField::UpstreamLocalPort,
            Self::DownstreamLocal => NumberField::DownstreamLocalPort,
            Self::DownstreamRemote => NumberField::DownstreamRemotePort,
            Self::DownstreamDirect => NumberField::DownstreamDirectPort,
            _ => return None,
        })
    }
}

impl NumberField {
    /// Belongs to every log, not to access logs.
    #[must_use]
    pub fn is_common(self) -> bool {
        matches!(self, Self::Severity | Self::ObservedDelay | Self::TraceFlags)
    }

    /// Port of an address: shown with it.
    #[must_use]
    pub fn is_port_of_address(self) -> bool {
        TextField::ALL.iter().any(|field| field.port() == Some(self))
    }

    /// The field that this one is close to: the difference is kept.
    pub(super) fn base(self) -> Option<Self> {
        Some(match self {
            Self::FirstUpstreamTxUs => Self::LastRxUs,
            Self::LastUpstreamTxUs => Self::FirstUpstreamTxUs,
            Self::FirstUpstreamRxUs => Self::LastUpstreamTxUs,
            Self::LastUpstreamRxUs => Self::FirstUpstreamRxUs,
            Self::FirstDownstreamTxUs => Self::FirstUpstreamRxUs,
            Self::LastDownstreamTxUs => Self::LastUpstreamRxUs,
            Self::DurationUs => Self::LastDownstreamTxUs,
            Self::DownstreamDirectPort => Self::DownstreamRemotePort,
            Self::UpstreamWireBytesSent => Self::DownstreamWireBytesReceived,
            Self::DownstreamWireBytesSent => Self::UpstreamWireBytesReceived,
            _ => return None,
        })
    }
}
