//! Reads the discoveries of a job: static, files, HTTP and Kubernetes.

use std::path::Path;
use std::time::Duration;

use super::super::discovery::TargetGroup;
use super::super::http_sd::HttpDiscovery;
use super::super::kubernetes::{ApiServer, PodDiscovery};
use super::super::labels::is_label_name;
use super::yaml::{Mistakes, Node, Table};
use super::{http, kubeconfig};
use crate::causes::with_causes;

/// How often files and servers are asked unless the job says otherwise.
const FILES_REFRESH: Duration = Duration::from_secs(300);
const HTTP_REFRESH: Duration = Duration::from_secs(60);

/// One way to find targets.
#[derive(Clone, Debug)]
pub enum Finder {
    Static(Vec<TargetGroup>),
    Files { patterns: Vec<String>, refresh: Duration },
    Http(HttpDiscovery),
    Kubernetes(PodDiscovery),
}

/// Discoveries of Prometheus that this collector does not have.
pub const NOT_DONE: [&str; 24] = [
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
];

/// Takes all discoveries out of a job's table.
pub fn finders(job: &mut Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> Vec<Finder> {
    let mut finders = Vec::new();
    let mut each =
        |key: &str, job: &mut Table<'_>, read: &dyn Fn(&Node, &mut Mistakes) -> Option<Finder>, mistakes: &mut Mistakes| {
            if let Some(entry) = job.take(key) {
                finders.extend(entry.value.list(key, mistakes).iter().filter_map(|node| read(node, mistakes)));
            }
        };
    each("static_configs", job, &|node, mistakes| Some(static_config(node, mistakes)), mistakes);
    each("file_sd_configs", job, &|node, mistakes| Some(files(node, folder, mistakes)), mistakes);
    each("http_sd_configs", job, &|node, mistakes| http_sd(node, folder, mistakes), mistakes);
    each("kubernetes_sd_configs", job, &|node, mistakes| kubernetes(node, folder, mistakes), mistakes);
    finders
}

fn static_config(node: &Node, mistakes: &mut Mistakes) -> Finder {
    let mut table = node.table("static_configs", mistakes);
    let mut group = TargetGroup::default();
    if let Some(entry) = table.take("targets") {
        for item in entry.value.list("targets", mistakes) {
            let Some(address) = item.text("targets", mistakes) else { continue };
            if address.contains('/') {
                mistakes.add(item.line, format!("`{address}` is no HOST:PORT; path and scheme have keys of their own"));
            }
            group.targets.push([("__address__", address)].into_iter().collect());
        }
    }
    for (name, value) in table.pairs("labels", mistakes) {
        if !is_label_name(&name) {
            mistakes.add(table.line, format!("`{name}` is no name of a label"));
        }
        group.labels.set(&name, value);
    }
    table.finish(mistakes);
    Finder::Static(vec![group])
}

fn files(node: &Node, folder: &Path, mistakes: &mut Mistakes) -> Finder {
    let mut table = node.table("file_sd_configs", mistakes);
    let mut patterns = Vec::new();
    match table.take("files") {
        None => mistakes.add(table.line, "file_sd_configs needs `files`"),
        Some(entry) => {
            for item in entry.value.list("files", mistakes) {
                let Some(pattern) = item.text("files", mistakes) else { continue };
                if !is_pattern(pattern) {
                    mistakes.add(
                        item.line,
                        format!("`{pattern}` is no name of a .json, .yml or .yaml file, or has `*` in its folder"),
                    );
                }
                patterns.push(folder.join(pattern).display().to_string());
            }
        }
    }
    let refresh = table.duration("refresh_interval", mistakes).unwrap_or(FILES_REFRESH);
    table.finish(mistakes);
    Finder::Files { patterns, refresh }
}

fn is_pattern(pattern: &str) -> bool {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let lower = name.to_lowercase();
    !folder.contains('*') && name.matches('*').count() <= 1 && [".json", ".yml", ".yaml"].iter().any(|end| lower.ends_with(end))
}

fn http_sd(node: &Node, folder: &Path, mistakes: &mut Mistakes) -> Option<Finder> {
    let mut table = node.table("http_sd_configs", mistakes);
    let line = table.line;
    let url = table.parsed("url", "a URL of http or https", |text| is_url(text).then(|| text.to_owned()), mistakes);
    let refresh = table.duration("refresh_interval", mistakes).filter(|refresh| !refresh.is_zero()).unwrap_or(HTTP_REFRESH);
    let settings = http::settings(&mut table, folder, mistakes);
    table.finish_with(&http::NOT_DONE, mistakes);
    let client = http::client(settings, line, mistakes);
    if url.is_none() {
        mistakes.add(line, "http_sd_configs needs a `url`");
    }
    Some(Finder::Http(HttpDiscovery { url: url?, refresh, client }))
}

/// Whether a text is a whole URL of http or https.
pub fn is_url(text: &str) -> bool {
    let is_known = |uri: &::http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    text.parse().is_ok_and(|uri| is_known(&uri))
}

fn kubernetes(node: &Node, folder: &Path, mistakes: &mut Mistakes) -> Option<Finder> {
    let mut table = node.table("kubernetes_sd_configs", mistakes);
    let line = table.line;
    match table.text_and_line("role", mistakes) {
        Some((role, _)) if role == "pod" => {}
        Some((role, line)) => mistakes.add(line, format!("`role: {role}` is not supported; pods are found by `role: pod`")),
        None => mistakes.add(line, "kubernetes_sd_configs needs a `role`"),
    }
    let (mut namespaces, mut is_own) = (Vec::new(), false);
    if let Some(entry) = table.take("namespaces") {
        let mut table = entry.value.table("namespaces", mistakes);
        namespaces = table.texts("names", mistakes).unwrap_or_default();
        is_own = table.flag("own_namespace", mistakes).unwrap_or(false);
        table.finish(mistakes);
    }
    let (label_selector, field_selector) = selectors(&mut table, mistakes);
    let server = table.text_and_line("api_server", mistakes);
    let kubeconfig = table.path("kubeconfig_file", folder, mistakes);
    let settings = http::settings(&mut table, folder, mistakes);
    table.finish_with(&[&http::NOT_DONE[..], &[("attach_metadata", "")]].concat(), mistakes);
    let found = match (server, kubeconfig) {
        (Some((url, _)), None) if is_url(&url) => {
            Ok(ApiServer { url, http: settings, own_namespace: kubeconfig::own_namespace() })
        }
        (Some((url, line)), None) => {
            mistakes.add(line, format!("`api_server: {url}` is not a URL of http or https"));
            return None;
        }
        (None, Some(path)) => kubeconfig::from_file(&path),
        (None, None) => kubeconfig::in_cluster(),
        (Some((_, line)), Some(_)) => {
            mistakes.add(line, "there are both `api_server` and `kubeconfig_file`");
            return None;
        }
    };
    let server = found.map_err(|error| mistakes.add(line, with_causes(&error))).ok()?;
    if is_own {
        namespaces.push(server.own_namespace.clone());
    }
    let client = http::client(server.http, line, mistakes);
    Some(Finder::Kubernetes(PodDiscovery { url: server.url, client, namespaces, label_selector, field_selector }))
}

/// Of pods; there is nothing else to select.
fn selectors(table: &mut Table<'_>, mistakes: &mut Mistakes) -> (String, String) {
    let (mut label, mut field) = (String::new(), String::new());
    let Some(entry) = table.take("selectors") else { return (label, field) };
    for node in entry.value.list("selectors", mistakes) {
        let mut selector = node.table("selectors", mistakes);
        match selector.text_and_line("role", mistakes) {
            Some((role, _)) if role == "pod" => {}
            _ => mistakes.add(selector.line, "a selector needs `role: pod`"),
        }
        label = selector.text("label", mistakes).unwrap_or_default();
        field = selector.text("field", mistakes).unwrap_or_default();
        selector.finish(mistakes);
    }
    (label, field)
}
