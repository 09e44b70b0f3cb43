//! `rules`, `alerts` and `alertmanagers`: what is loaded, what is active, and who is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Data, number_with_exponent};
use super::params::Form;
use super::problem::Problem;
use super::status::time_text;
use crate::rules::{Alert, Published, Rule, RuleStatus, State as AlertState};
use crate::store::Labels;

/// What is asked for; nothing where all are.
struct Chosen<'f> {
    kind: Option<&'f str>,
    names: Vec<&'f str>,
    groups: Vec<&'f str>,
    files: Vec<&'f str>,
    with_alerts: bool,
}

impl<'f> Chosen<'f> {
    fn of(form: &'f Form) -> Result<Self, Problem> {
        let kind = form.get("type");
        if kind.is_some_and(|kind| !["alert", "record"].contains(&kind.to_lowercase().as_str())) {
            return Err(Problem::parameter("type", "not supported value; it is `alert` or `record`"));
        }
        let excluded = form.get("exclude_alerts").map_or(Ok(false), |text| match text.to_lowercase().as_str() {
            "true" | "1" | "t" => Ok(true),
            "false" | "0" | "f" => Ok(false),
            _ => Err(Problem::parameter("exclude_alerts", "it is true or false")),
        })?;
        let (names, groups, files) = (form.all("rule_name[]"), form.all("rule_group[]"), form.all("file[]"));
        Ok(Self { kind, names, groups, files, with_alerts: !excluded })
    }

    fn wants(&self, rule: &Rule) -> bool {
        let kind = if rule.alerting().is_some() { "alert" } else { "record" };
        self.kind.is_none_or(|asked| asked.eq_ignore_ascii_case(kind)) && is_among(&self.names, &rule.name)
    }

    fn has_filter(&self) -> bool {
        self.kind.is_some() || !self.names.is_empty()
    }
}

fn is_among(asked: &[&str], name: &str) -> bool {
    asked.is_empty() || asked.contains(&name)
}

pub(super) async fn rules(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let chosen = Chosen::of(&form)?;
    let mut groups = Vec::new();
    for published in api.parts.rules.groups() {
        let group = &published.group;
        if is_among(&chosen.groups, &group.name) && is_among(&chosen.files, &group.file) {
            let described = described(&published, &chosen);
            let is_empty = described["rules"].as_array().is_some_and(Vec::is_empty);
            if !(is_empty && chosen.has_filter()) {
                groups.push(described);
            }
        }
    }
    Ok(Data::of(&json!({"groups": groups})))
}

fn described(published: &Arc<Published>, chosen: &Chosen<'_>) -> Value {
    let (group, status) = (&published.group, published.status());
    let rules = group.rules.iter().zip(&status.rules).filter(|(rule, _)| chosen.wants(rule));
    let rules: Vec<Value> = rules.map(|(rule, status)| described_rule(rule, status, chosen.with_alerts)).collect();
    json!({
        "name": group.name,
        "file": &*group.file,
        "rules": rules,
        "interval": published.interval.as_secs_f64(),
        "limit": group.limit,
        "evaluationTime": status.took.as_secs_f64(),
        "lastEvaluation": time_text(status.evaluated_at_ms),
    })
}

fn described_rule(rule: &Rule, status: &RuleStatus, with_alerts: bool) -> Value {
    let health = match (&status.error, status.evaluated_at_ms) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let labels: BTreeMap<&str, &str> = rule.labels.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
    let mut described = json!({
        "name": rule.name,
        "query": rule.expression,
        "health": health,
        "evaluationTime": status.took.as_secs_f64(),
        "lastEvaluation": time_text(status.evaluated_at_ms),
    });
    if let Some(error) = &status.error {
        described["lastError"] = json!(error);
    }
    let Some(alerting) = rule.alerting() else {
        described["type"] = json!("recording");
        if !labels.is_empty() {
            described["labels"] = json!(labels);
        }
        return described;
    };
    let annotations: BTreeMap<&str, &str> =
        alerting.annotations.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
    let state = status.alerts.iter().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive);
    let alerts: Vec<Value> = status.alerts.iter().filter(|_| with_alerts).map(described_alert).collect();
    described["type"] = json!("alerting");
    described["state"] = json!(state.name());
    described["labels"] = json!(labels);
    described["annotations"] = json!(annotations);
    described["duration"] = json!(alerting.hold.as_secs_f64());
    described["keepFiringFor"] = json!(alerting.keep_firing.as_secs_f64());
    described["alerts"] = json!(alerts);
    described
}

fn described_alert(alert: &Alert) -> Value {
    let annotations: BTreeMap<&str, &str> =
        alert.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut described = json!({
        "labels": map(&alert.labels),
        "annotations": annotations,
        "state": alert.state.name(),
        "activeAt": time_text(Some(alert.active_at_ms)),
        "value": number_with_exponent(alert.value),
    });
    if alert.kept_since_ms.is_some() {
        described["keepFiringSince"] = json!(time_text(alert.kept_since_ms));
    }
    described
}

fn map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().map(|(name, value)| (&**name, &**value)).collect()
}

pub(super) async fn alerts(State(api): State<Api>) -> Data {
    let groups = api.parts.rules.groups();
    let rules = groups.iter().flat_map(|published| published.status().rules);
    let alerts: Vec<Value> = rules.flat_map(|rule| rule.alerts).map(|alert| described_alert(&alert)).collect();
    Data::of(&json!({"alerts": alerts}))
}

pub(super) async fn alertmanagers(State(api): State<Api>) -> Data {
    let active: Vec<Value> = api.parts.alertmanagers.iter().map(|url| json!({"url": url})).collect();
    Data::of(&json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}
