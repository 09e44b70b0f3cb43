//! Response flags: why a response is not what the application said, in Envoy's short and long names.

use std::fmt;

macro_rules! flags {
    ($($variant:ident $short:literal $long:literal $doc:literal,)*) => {
        /// One reason. The doc line of each variant is its meaning; `as_str` gives the short name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ResponseFlag {
            $(#[doc = $doc] $variant,)*
        }

        impl ResponseFlag {
            /// Every flag, in the order of Envoy's own table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Short name, as in access logs and metric labels.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $short,)* }
            }

            /// Long name, as `%RESPONSE_FLAGS_LONG%` prints it.
            #[must_use]
            pub fn as_long_str(self) -> &'static str {
                match self { $(Self::$variant => $long,)* }
            }
        }
    };
}

flags! {
    FailedLocalHealthCheck "LH" "FailedLocalHealthCheck" "The local service failed its health check.",
    NoHealthyUpstream "UH" "NoHealthyUpstream" "No healthy host in the cluster.",
    UpstreamRequestTimeout "UT" "UpstreamRequestTimeout" "The upstream did not answer in time.",
    LocalReset "LR" "LocalReset" "The stream was reset locally.",
    UpstreamRemoteReset "UR" "UpstreamRemoteReset" "The upstream reset the stream.",
    UpstreamConnectionFailure "UF" "UpstreamConnectionFailure" "The upstream could not be connected.",
    UpstreamConnectionTermination "UC" "UpstreamConnectionTermination" "The upstream closed the connection.",
    UpstreamOverflow "UO" "UpstreamOverflow" "A circuit breaker was open.",
    NoRouteFound "NR" "NoRouteFound" "No route or no filter chain matched.",
    DelayInjected "DI" "DelayInjected" "A fault rule delayed the request.",
    FaultInjected "FI" "FaultInjected" "A fault rule aborted the request.",
    RateLimited "RL" "RateLimited" "A local or global rate limit refused the request.",
    UnauthorizedExternalService "UAEX" "UnauthorizedExternalService" "External authorization denied the request.",
    RateLimitServiceError "RLSE" "RateLimitServiceError" "The rate limit service failed.",
    DownstreamConnectionTermination "DC" "DownstreamConnectionTermination" "The client disconnected.",
    UpstreamRetryLimitExceeded "URX" "UpstreamRetryLimitExceeded" "All retries or connect attempts were used up.",
    StreamIdleTimeout "SI" "StreamIdleTimeout" "The stream was idle for too long.",
    InvalidEnvoyRequestHeaders "IH" "InvalidEnvoyRequestHeaders" "The strict header check refused the request.",
    DownstreamProtocolError "DPE" "DownstreamProtocolError" "The client broke the protocol.",
    UpstreamMaxStreamDurationReached "UMSDR" "UpstreamMaxStreamDurationReached" "The upstream stream lived too long.",
    ResponseFromCacheFilter "RFCF" "ResponseFromCacheFilter" "Answered from a cache.",
    NoFilterConfigFound "NFCF" "NoFilterConfigFound" "A filter's configuration did not arrive in time.",
    DurationTimeout "DT" "DurationTimeout" "The connection lived too long.",
    UpstreamProtocolError "UPE" "UpstreamProtocolError" "The upstream broke the protocol.",
    NoClusterFound "NC" "NoClusterFound" "The route's cluster is not known.",
    OverloadManagerTerminated "OM" "OverloadManagerTerminated" "The proxy is overloaded.",
    DnsResolutionFailed "DF" "DnsResolutionFailed" "The upstream's name did not resolve.",
    DropOverload "DO" "DropOverload" "A drop policy refused the request.",
    DownstreamRemoteReset "DR" "DownstreamRemoteReset" "The client reset its stream.",
    UnconditionalDropOverload "UDO" "UnconditionalDropOverload" "A drop policy refuses every request.",
}

/// Flags one exchange can carry; a further one is ignored, as no real exchange has so many reasons.
pub const FLAGS_MAX: usize = 10;
const BITS: u32 = 6;

/// The flags of one exchange in the order in which they were set; small, `Copy` and hashable, so that it can be a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u64);

impl ResponseFlags {
    /// Adds a flag; setting one twice changes nothing.
    pub fn set(&mut self, flag: ResponseFlag) {
        let len = self.iter().count();
        if len < FLAGS_MAX && !self.contains(flag) {
            self.0 |= (flag as u64 + 1) << (len as u32 * BITS);
        }
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn contains(self, flag: ResponseFlag) -> bool {
        self.iter().any(|f| f == flag)
    }

    /// Whether nothing is set, which prints as `-`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags in the order in which they were set.
    pub fn iter(self) -> impl Iterator<Item = ResponseFlag> {
        (0..FLAGS_MAX as u32)
            .map(move |i| (self.0 >> (i * BITS)) & ((1 << BITS) - 1))
            .take_while(|code| *code != 0)
            .map(|code| ResponseFlag::ALL[code as usize - 1])
    }

    /// The long names, joined by commas; `-` when nothing is set.
    #[must_use]
    pub fn to_long_string(self) -> String {
        if self.is_empty() {
            return "-".to_owned();
        }
        let names: Vec<_> = self.iter().map(ResponseFlag::as_long_str).collect();
        names.join(",")
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (i, flag) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(flag.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_in_the_order_in_which_they_were_set() {
        let mut flags = ResponseFlags::default();
        assert_eq!(flags.to_string(), "-");
        flags.set(ResponseFlag::UpstreamRetryLimitExceeded);
        flags.set(ResponseFlag::UpstreamConnectionFailure);
        flags.set(ResponseFlag::UpstreamRetryLimitExceeded);
        assert_eq!(flags.to_string(), "URX,UF");
        assert_eq!(flags.to_long_string(), "UpstreamRetryLimitExceeded,UpstreamConnectionFailure");
    }

    #[test]
    fn every_flag_survives_packing() {
        for flag in ResponseFlag::ALL {
            let mut flags = ResponseFlags::default();
            flags.set(*flag);
            assert_eq!(flags.to_string(), flag.as_str());
        }
        assert_eq!(ResponseFlag::ALL.len(), 30);
    }

    #[test]
    fn more_flags_than_fit_are_ignored() {
        let mut flags = ResponseFlags::default();
        ResponseFlag::ALL.iter().for_each(|f| flags.set(*f));
        assert_eq!(flags.iter().count(), FLAGS_MAX);
    }
}
