//! Response codes and flags of an edge or a node, as shares that a bar can show.

use std::collections::BTreeMap;

use sidelight_api::graph::{EdgeTraffic, RequestHealth};

use crate::i18n::graph::FlagText;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Good,
    Redirect,
    Caller,
    Failing,
    NoAnswer,
}

/// One piece of the bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub code: String,
    pub class: Class,
    /// Of all requests.
    pub percent: f64,
}

impl Class {
    pub fn of(code: &str, protocol: &str) -> Self {
        match code.parse::<u16>() {
            // gRPC's own status, unless the code is HTTP's.
            Ok(0) if protocol == "grpc" => Self::Good,
            Ok(1..=99) if protocol == "grpc" => Self::Failing,
            Ok(100..300) => Self::Good,
            Ok(300..400) => Self::Redirect,
            Ok(400..500) => Self::Caller,
            Ok(500..) => Self::Failing,
            _ => Self::NoAnswer,
        }
    }
}

/// Shares by code, good ones first, then by size.
pub fn shares_of_edge(traffic: &EdgeTraffic) -> Vec<Share> {
    let by_code = traffic.responses.iter().map(|(code, responses)| {
        let percent = responses.flags.values().filter_map(|word| word.parse::<f64>().ok()).sum();
        Share { code: code.clone(), class: Class::of(code, &traffic.protocol), percent }
    });
    sorted(by_code.collect())
}

/// Of what a node answered; of what it asked for when it only calls.
pub fn shares_of_node(health: &RequestHealth) -> Vec<Share> {
    let side = if health.inbound.values().any(|codes| !codes.is_empty()) { &health.inbound } else { &health.outbound };
    let rates = side.iter().flat_map(|(protocol, codes)| codes.iter().map(move |(code, rate)| (protocol, code, *rate)));
    let all: f64 = rates.clone().map(|(_, _, rate)| rate).sum();
    let shares = rates.filter(|_| all > 0.0).map(|(protocol, code, rate)| Share {
        code: code.clone(),
        class: Class::of(code, protocol),
        percent: rate / all * 100.0,
    });
    sorted(shares.collect())
}

/// Of several edges together, each counted by its rate.
pub fn shares_of_edges<'a>(edges: impl Iterator<Item = (f64, &'a EdgeTraffic)>) -> Vec<Share> {
    let mut sums: BTreeMap<String, Share> = BTreeMap::new();
    let mut all = 0.0;
    for (rate, traffic) in edges {
        all += rate;
        for share in shares_of_edge(traffic) {
            let sum = sums.entry(share.code.clone()).or_insert(Share { percent: 0.0, ..share.clone() });
            sum.percent += share.percent * rate;
        }
    }
    let shares = sums.into_values().map(|share| Share { percent: if all > 0.0 { share.percent / all } else { 0.0 }, ..share });
    sorted(shares.collect())
}

fn sorted(mut shares: Vec<Share>) -> Vec<Share> {
    shares.retain(|share| share.percent > 0.0);
    shares.sort_by(|a, b| a.class.cmp(&b.class).then(b.percent.total_cmp(&a.percent)));
    shares
}

/// Flags with their share of all requests, most frequent first; requests without a flag are not listed.
pub fn flags(traffic: &EdgeTraffic) -> Vec<(String, f64)> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for responses in traffic.responses.values() {
        for (flag, percent) in responses.flags.iter().filter(|(flag, _)| !flag.is_empty() && flag.as_str() != "-") {
            *sums.entry(flag.clone()).or_default() += percent.parse::<f64>().unwrap_or_default();
        }
    }
    let mut flags: Vec<(String, f64)> = sums.into_iter().filter(|(_, percent)| *percent > 0.0).collect();
    flags.sort_by(|a, b| b.1.total_cmp(&a.1));
    flags
}

/// What a flag means; several are joined by commas, then the first one counts.
pub fn flag_text(flag: &str) -> FlagText {
    match flag.split(',').next().unwrap_or_default() {
        "DC" => FlagText::Dc,
        "DI" => FlagText::Di,
        "DPE" => FlagText::Dpe,
        "DT" => FlagText::Dt,
        "FI" => FlagText::Fi,
        "IH" => FlagText::Ih,
        "LH" => FlagText::Lh,
        "LR" => FlagText::Lr,
        "NC" => FlagText::Nc,
        "NFCF" => FlagText::Nfcf,
        "NR" => FlagText::Nr,
        "OM" => FlagText::Om,
        "RL" => FlagText::Rl,
        "RLSE" => FlagText::Rlse,
        "SI" => FlagText::Si,
        "UAEX" => FlagText::Uaex,
        "UC" => FlagText::Uc,
        "UF" => FlagText::Uf,
        "UH" => FlagText::Uh,
        "UMSDR" => FlagText::Umsdr,
        "UO" => FlagText::Uo,
        "UPE" => FlagText::Upe,
        "UR" => FlagText::Ur,
        "URX" => FlagText::Urx,
        "UT" => FlagText::Ut,
        "-" | "" => FlagText::None,
        _ => FlagText::Other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn traffic() -> EdgeTraffic {
        serde_json::from_str(
            r#"{"protocol":"http","rates":{"http":"10.00"},"responses":{
                "503":{"flags":{"UO":"20.1","UH":"2.0"},"hosts":{}},
                "200":{"flags":{"-":"73.6"},"hosts":{}},
                "-":{"flags":{"DC":"4.3"},"hosts":{}}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn shares_are_sums_over_flags_good_first() {
        let shares: Vec<(String, Class, f64)> =
            shares_of_edge(&traffic()).into_iter().map(|s| (s.code, s.class, s.percent)).collect();
        assert_eq!(
            shares,
            [
                ("200".to_owned(), Class::Good, 73.6),
                ("503".to_owned(), Class::Failing, 22.1),
                ("-".to_owned(), Class::NoAnswer, 4.3)
            ]
        );
    }

    #[test]
    fn flags_are_the_most_frequent_first() {
        assert_eq!(flags(&traffic()), [("UO".to_owned(), 20.1), ("DC".to_owned(), 4.3), ("UH".to_owned(), 2.0)]);
        assert_eq!((flag_text("UO"), flag_text("UF,URX"), flag_text("XYZ")), (FlagText::Uo, FlagText::Uf, FlagText::Other));
    }

    #[test]
    fn grpc_codes_are_statuses() {
        assert_eq!(
            (Class::of("0", "grpc"), Class::of("14", "grpc"), Class::of("0", "http")),
            (Class::Good, Class::Failing, Class::NoAnswer)
        );
    }

    #[test]
    fn several_edges_weigh_by_their_rate() {
        let good: EdgeTraffic =
            serde_json::from_str(r#"{"protocol":"http","rates":{},"responses":{"200":{"flags":{"-":"100.0"},"hosts":{}}}}"#)
                .unwrap();
        let shares = shares_of_edges([(30.0, &good), (10.0, &traffic())].into_iter());
        assert!((shares[0].percent - 93.4).abs() < 1e-9);
    }
}
