//! Every code that a finding can carry.
//!
//! `KIA…` is what Kiali calls the same thing, `SL…` is our own.
//! Errors refuse the object; warnings and remarks are stored with it.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title, ".")]
            $(#[$doc])*
            pub const $name: &str = $code;
        )*

        /// All codes with their titles, for lists and documentation.
        pub const ALL: &[(&str, &str)] = &[$(($code, $title)),*];
    };
}

codes! {
    SYNTAX = "SL0001", "the text is no YAML";
    UNKNOWN_FIELD = "SL0002", "unknown field";
    WRONG_VALUE = "SL0003", "value of the wrong type, or outside its range";
    MISSING = "SL0004", "something that must be there is missing";
    UNSUPPORTED_KIND = "SL0005", "unknown kind or apiVersion";
    DUPLICATE_KEY = "SL0006", "the same key twice in one map";
    TOO_LARGE = "SL0007", "the text, or the list of its errors, is too long";
    DUPLICATE_OBJECT = "SL0008", "the same object twice in one text";
    BAD_NAME = "SL0009", "a name that Kubernetes would refuse";
    BAD_HOST = "SL0010", "a host that is no name, address or wildcard";
    BAD_REGEX = "SL0011", "a regular expression that does not compile";
    CONTRADICTION = "SL0012", "fields that exclude each other";

    WEIGHT_RANGE = "SL0101", "a weight below 0";
    /// The whole rule would answer 503: nothing can be chosen.
    WEIGHT_ZERO = "SL0102", "all of several weights are 0";
    WEIGHT_SUM = "SL0103", "weights do not add up to 100";
    UNREACHABLE = "SL0104", "a rule or match behind one that takes every request";
    RETRY_TIMEOUT = "SL0105", "retries cannot all happen before the timeout";
    PORT_MISSING = "SL0106", "the service has no such port";
    NO_WORKLOADS = "SL0107", "the service has no workloads";
    RETRY_CONDITION = "SL0108", "unknown retry condition";
    GATEWAY_HOST = "SL0109", "no server of the gateway takes this host";
    DELEGATE_MISSING = "SL0110", "the delegate does not exist";
    NEVER_MATCHES = "SL0111", "a path that cannot match";
    BREAKS_OTHER = "SL0112", "the change breaks another object";

    DUPLICATE_SUBSET = "SL0201", "the same subset twice";
    DUPLICATE_PORT = "SL0202", "the same port twice";
    NO_EFFECT = "SL0203", "accepted, but without effect here";

    DEPRECATED = "SL0301", "an old form that has a successor";

    EXPORT_TO = "KIA0005", "`exportTo` names a namespace that does not exist";
    RULE_OVERLAP = "KIA0201", "several DestinationRules for the same host and subset";
    RULE_HOST = "KIA0202", "the DestinationRule's host is no service of the mesh";
    SUBSET_EMPTY = "KIA0203", "the subset's labels match no workload";
    SUBSET_LABELS = "KIA0209", "a subset without labels";
    GATEWAY_OVERLAP = "KIA0301", "several Gateways for the same host and port";
    GATEWAY_SELECTOR = "KIA0302", "the Gateway's selector matches no workload";
    PORT_NAME = "KIA0601", "a port name that does not begin with a protocol";
    APP_PROTOCOL = "KIA0602", "an unknown appProtocol";
    TARGET_PORT = "KIA0701", "no workload of the service has the target port";
    HOST_MISSING = "KIA1101", "a destination that is no service of the mesh";
    GATEWAY_MISSING = "KIA1102", "the gateway does not exist";
    WEIGHT_SINGLE = "KIA1104", "a weight on the only destination";
    DESTINATION_TWICE = "KIA1105", "the same destination twice in one rule";
    HOST_TWICE = "KIA1106", "several VirtualServices for one host";
    /// Kiali only warns. Here it is an error, because every request of such a route is answered `503 NC`.
    SUBSET_MISSING = "KIA1107", "the subset is not defined";
    GATEWAY_NAMING = "KIA1108", "an old way to name a gateway";
}

/// Title of a code; empty for an unknown one.
#[must_use]
pub fn title(code: &str) -> &'static str {
    ALL.iter().find(|(known, _)| *known == code).map_or("", |(_, title)| title)
}
