//! The bodies that receivers of alerts read.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Notice;
use crate::rules::alert::ALERT_NAME;
use crate::store::Labels;

/// Go's zero time: not ended yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// An element of `POST /api/v2/alerts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

pub(super) fn alertmanager(notices: &[Notice]) -> Vec<u8> {
    let posted: Vec<Posted<'_>> = notices.iter().map(|notice| posted(notice, rfc3339(notice.ends_at_ms))).collect();
    json(&posted)
}

fn posted(notice: &Notice, ends_at: String) -> Posted<'_> {
    Posted {
        labels: pairs(&notice.labels),
        annotations: notice.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        starts_at: rfc3339(notice.starts_at_ms),
        ends_at,
        generator_url: &notice.generator_url,
    }
}

/// What Alertmanager sends to webhooks, version 4: alerts of one name together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Called<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u32,
    status: &'static str,
    receiver: &'static str,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<CalledAlert<'a>>,
}

#[derive(Serialize)]
struct CalledAlert<'a> {
    status: &'static str,
    #[serde(flatten)]
    posted: Posted<'a>,
    fingerprint: String,
}

/// One body for each name of alerts, with how many alerts it has.
pub(super) fn webhook(notices: &[Notice], external_url: &str) -> Vec<(usize, Vec<u8>)> {
    let mut by_name: BTreeMap<&str, Vec<&Notice>> = BTreeMap::new();
    for notice in notices {
        let name = notice.labels.iter().find(|(name, _)| &**name == ALERT_NAME).map_or("", |(_, value)| value);
        by_name.entry(name).or_default().push(notice);
    }
    by_name.into_iter().map(|(name, notices)| (notices.len(), json(&called(name, &notices, external_url)))).collect()
}

fn called<'a>(name: &'a str, notices: &[&'a Notice], external_url: &'a str) -> Called<'a> {
    let status = |is_resolved| if is_resolved { "resolved" } else { "firing" };
    let alert = |notice: &&'a Notice| CalledAlert {
        status: status(notice.is_resolved),
        posted: posted(notice, if notice.is_resolved { rfc3339(notice.ends_at_ms) } else { NEVER.to_owned() }),
        fingerprint: fingerprint(&notice.labels),
    };
    let alerts: Vec<CalledAlert<'a>> = notices.iter().map(alert).collect();
    Called {
        version: "4",
        group_key: format!("{{}}:{{{ALERT_NAME}={name:?}}}"),
        truncated_alerts: 0,
        status: status(notices.iter().all(|notice| notice.is_resolved)),
        receiver: "sidelight",
        group_labels: BTreeMap::from([(ALERT_NAME, name)]),
        common_labels: common(alerts.iter().map(|alert| &alert.posted.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.posted.annotations)),
        external_url,
        alerts,
    }
}

fn common<'a, 'b>(mut maps: impl Iterator<Item = &'b BTreeMap<&'a str, &'a str>>) -> BTreeMap<&'a str, &'a str>
where
    'a: 'b,
{
    let mut common = maps.next().cloned().unwrap_or_default();
    for map in maps {
        common.retain(|name, value| map.get(name) == Some(value));
    }
    common
}

/// The same for the same labels, as receivers need it to know an alert again.
fn fingerprint(labels: &Labels) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in labels.iter() {
        hasher.update(name.as_bytes()).update(&[0xff]).update(value.as_bytes()).update(&[0xff]);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

fn pairs(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn rfc3339(t_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(t_ms) * 1_000_000);
    at.ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| NEVER.to_owned())
}

fn json<T: Serialize>(body: &T) -> Vec<u8> {
    // Texts and maps of texts can be written.
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn notice(instance: &str, is_resolved: bool) -> Notice {
        let labels = [(ALERT_NAME, "Bad"), ("instance", instance)];
        Notice {
            labels: labels.map(|(name, value)| (name.into(), value.into())).into(),
            annotations: Arc::from([("summary".to_owned(), "it is bad".to_owned())]),
            starts_at_ms: 1_000,
            ends_at_ms: 2_500,
            is_resolved,
            is_repeated: false,
            generator_url: "http://h/graph".to_owned(),
        }
    }

    fn read(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn an_alertmanager_reads_a_list() {
        let expected = json!([{
            "labels": {"alertname": "Bad", "instance": "a"},
            "annotations": {"summary": "it is bad"},
            "startsAt": "1970-01-01T00:00:01Z",
            "endsAt": "1970-01-01T00:00:02.5Z",
            "generatorURL": "http://h/graph",
        }]);
        assert_eq!(read(&alertmanager(&[notice("a", false)])), expected);
    }

    #[test]
    fn a_webhook_reads_what_alertmanagers_send() {
        let bodies = webhook(&[notice("a", false), notice("b", true)], "http://h");
        assert_eq!((bodies.len(), bodies[0].0), (1, 2));
        let body = read(&bodies[0].1);
        assert_eq!(body["version"], "4");
        assert_eq!((&body["status"], &body["groupKey"]), (&json!("firing"), &json!("{}:{alertname=\"Bad\"}")));
        assert_eq!(body["commonLabels"], json!({"alertname": "Bad"}));
        assert_eq!((&body["alerts"][0]["status"], &body["alerts"][0]["endsAt"]), (&json!("firing"), &json!(NEVER)));
        assert_eq!(body["alerts"][1]["endsAt"], "1970-01-01T00:00:02.5Z");
        assert_eq!(body["alerts"][1]["fingerprint"].as_str().map(str::len), Some(16));
    }
}
