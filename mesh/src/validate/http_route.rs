//! The rules for HTTP: what each does, and whether it is ever reached.

use super::destination::{self, Owner};
use super::mesh::Mesh;
use super::report::Report;
use super::weights::{self, Weighted};
use super::{common, http_match};
use crate::codes;
use crate::config::{CorsPolicy, Fault, HttpRoute, Kind, ObjectKey, Retries};
use crate::nearest::nearest;

/// What `retryOn` may say besides status codes.
const RETRY_CONDITIONS: [&str; 17] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
    "unknown",
];
const REDIRECT_CODES: [u16; 6] = [0, 301, 302, 303, 307, 308];

pub(super) fn check_all(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>) {
    for (index, rule) in owner.spec.http.iter().enumerate() {
        check(report, mesh, owner, &format!("spec.http[{index}]"), rule);
    }
    http_match::reachable(report, &owner.spec.http);
}

fn check(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, rule: &HttpRoute) {
    http_match::check(report, path, rule);
    action(report, path, rule);
    for (index, target) in rule.route.iter().enumerate() {
        destination::check(report, mesh, owner, &format!("{path}.route[{index}].destination"), &target.destination);
    }
    let weighted: Vec<_> = rule.route.iter().map(|r| Weighted { destination: &r.destination, weight: r.weight }).collect();
    weights::check(report, &format!("{path}.route"), &weighted);
    mirrors(report, mesh, owner, path, rule);
    answers(report, path, rule);
    delegate(report, mesh, owner, path, rule);
    if let Some(retries) = &rule.retries {
        check_retries(report, path, rule, retries);
    }
    if let Some(fault) = &rule.fault {
        check_fault(report, &format!("{path}.fault"), fault);
    }
    if let Some(cors) = &rule.cors_policy {
        check_cors(report, &format!("{path}.corsPolicy"), cors);
    }
}

/// A rule does exactly one thing.
fn action(report: &mut Report<'_>, path: &str, rule: &HttpRoute) {
    let actions = [
        ("route", !rule.route.is_empty()),
        ("redirect", rule.redirect.is_some()),
        ("directResponse", rule.direct_response.is_some()),
        ("delegate", rule.delegate.is_some()),
    ];
    let given: Vec<&str> = actions.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given[..] {
        [] => {
            report.error(codes::MISSING, path, "the rule leads nowhere: add `route` with a destination");
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other: keep one");
            report.error(codes::CONTRADICTION, &format!("{path}.{second}"), message);
        }
    }
    if let Some(rewrite) = &rule.rewrite {
        if rule.redirect.is_some() {
            let message = "`rewrite` and `redirect` exclude each other: keep one";
            report.error(codes::CONTRADICTION, &format!("{path}.rewrite"), message);
        }
        if let Some(regex) = &rewrite.uri_regex_rewrite {
            if !rewrite.uri.is_empty() {
                let message = "`uri` and `uriRegexRewrite` exclude each other: keep one";
                report.error(codes::CONTRADICTION, &format!("{path}.rewrite.uriRegexRewrite"), message);
            }
            common::regex(report, &format!("{path}.rewrite.uriRegexRewrite.match"), &regex.pattern);
        }
    }
}

fn mirrors(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, rule: &HttpRoute) {
    if let Some(mirror) = &rule.mirror {
        destination::check(report, mesh, owner, &format!("{path}.mirror"), mirror);
        if !rule.mirrors.is_empty() {
            let message = "`mirror` and `mirrors` exclude each other: keep one";
            report.error(codes::CONTRADICTION, &format!("{path}.mirrors"), message);
        }
    }
    for (index, mirror) in rule.mirrors.iter().enumerate() {
        let path = format!("{path}.mirrors[{index}]");
        destination::check(report, mesh, owner, &format!("{path}.destination"), &mirror.destination);
        common::percent(report, &format!("{path}.percentage"), mirror.percentage);
    }
    common::percent(report, &format!("{path}.mirrorPercentage"), rule.mirror_percentage);
    if rule.mirror_percent.is_some() {
        common::deprecated(report, &format!("{path}.mirrorPercent"), "mirrorPercentage");
    }
}

/// Answers that the proxy gives by itself.
fn answers(report: &mut Report<'_>, path: &str, rule: &HttpRoute) {
    if let Some(redirect) = &rule.redirect {
        if !REDIRECT_CODES.contains(&redirect.redirect_code) {
            let message = format!("{} is no code for a redirect: use 301, 302, 303, 307 or 308", redirect.redirect_code);
            report.error(codes::WRONG_VALUE, &format!("{path}.redirect.redirectCode"), message);
        }
        if redirect.port.is_some() && redirect.derive_port.is_some() {
            let message = "`port` and `derivePort` exclude each other: keep one";
            report.error(codes::CONTRADICTION, &format!("{path}.redirect.derivePort"), message);
        }
    }
    if let Some(response) = &rule.direct_response {
        status(report, &format!("{path}.directResponse.status"), response.status);
    }
}

fn status(report: &mut Report<'_>, path: &str, status: u16) {
    if !(200..=599).contains(&status) {
        report.error(codes::WRONG_VALUE, path, format!("{status} is no HTTP status: give one from 200 to 599"));
    }
}

fn delegate(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, rule: &HttpRoute) {
    let Some(delegate) = &rule.delegate else {
        return;
    };
    let own = &owner.object.object.metadata.namespace;
    let namespace = if delegate.namespace.is_empty() { own } else { &delegate.namespace };
    let key = ObjectKey { kind: Kind::VirtualService, namespace: namespace.clone(), name: delegate.name.clone() };
    if mesh.config.get(&key).is_none() {
        let here = mesh.virtual_services.iter().map(|(object, _)| &object.object.metadata);
        let names: Vec<&str> = here.filter(|m| m.namespace == *namespace).map(|m| m.name.as_str()).collect();
        let message = format!("there is no {key}, so this rule does nothing");
        report.error(codes::DELEGATE_MISSING, &format!("{path}.delegate.name"), message).suggestions =
            nearest(&delegate.name, names);
    }
}

fn check_retries(report: &mut Report<'_>, path: &str, rule: &HttpRoute, retries: &Retries) {
    let at = format!("{path}.retries");
    if retries.attempts < 0 {
        let message = format!("{} attempts are not possible: give 0 to turn retries off", retries.attempts);
        report.error(codes::WRONG_VALUE, &format!("{at}.attempts"), message);
    }
    for token in retries.retry_on.split(',').map(str::trim).filter(|token| !token.is_empty()) {
        let is_status = token.parse::<u16>().is_ok_and(|status| (100..=599).contains(&status));
        if !is_status && !RETRY_CONDITIONS.contains(&token) {
            let message = format!("`{}` is no condition for a retry and is ignored", token.escape_debug());
            report.warning(codes::RETRY_CONDITION, &format!("{at}.retryOn"), message).suggestions =
                nearest(token, RETRY_CONDITIONS);
        }
    }
    let (Some(timeout), Some(per_try)) = (rule.timeout, retries.per_try_timeout) else {
        return;
    };
    let all = per_try.0.saturating_mul(u32::try_from(retries.attempts).unwrap_or(0));
    if !timeout.0.is_zero() && all > timeout.0 {
        let message = format!(
            "{} retries of {:?} each do not fit into the timeout of {:?}: later ones never happen; raise `timeout` or lower one of the two",
            retries.attempts, per_try.0, timeout.0
        );
        report.warning(codes::RETRY_TIMEOUT, &format!("{at}.perTryTimeout"), message);
    }
}

fn check_fault(report: &mut Report<'_>, path: &str, fault: &Fault) {
    if fault.delay.is_none() && fault.abort.is_none() {
        report.warning(codes::NO_EFFECT, path, "a fault without `delay` and `abort` does nothing");
    }
    if let Some(delay) = &fault.delay {
        let path = format!("{path}.delay");
        if delay.fixed_delay.is_none() {
            report.error(codes::MISSING, &path, "`fixedDelay` is missing: say how long to wait, such as `2s`");
        }
        common::percent(report, &format!("{path}.percentage"), delay.percentage);
        if delay.percent.is_some() {
            common::deprecated(report, &format!("{path}.percent"), "percentage");
        }
    }
    if let Some(abort) = &fault.abort {
        let path = format!("{path}.abort");
        match (abort.http_status, &abort.grpc_status) {
            (None, None) => {
                report.error(codes::MISSING, &path, "`httpStatus` is missing: say what to answer, such as 503");
            }
            (Some(_), Some(_)) => {
                let message = "`httpStatus` and `grpcStatus` exclude each other: keep one";
                report.error(codes::CONTRADICTION, &format!("{path}.grpcStatus"), message);
            }
            (Some(http), None) => status(report, &format!("{path}.httpStatus"), http),
            (None, Some(_)) => {}
        }
        common::percent(report, &format!("{path}.percentage"), abort.percentage);
    }
}

fn check_cors(report: &mut Report<'_>, path: &str, cors: &CorsPolicy) {
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        common::string_match(report, &format!("{path}.allowOrigins[{index}]"), origin);
    }
    if !cors.allow_origin.is_empty() {
        common::deprecated(report, &format!("{path}.allowOrigin"), "allowOrigins");
    }
}
