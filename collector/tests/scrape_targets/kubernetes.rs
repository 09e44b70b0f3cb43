//! Targets of Kubernetes: Istio's job for pods, followed through changes; a real Prometheus relabels them alike.

use std::sync::Arc;

use serde_json::{Value, json};
use sidelight_collector::ingest::scrape::config::parse;
use sidelight_collector::ingest::scrape::kubernetes::{Pod, group};
use sidelight_collector::ingest::scrape::{Discovery, LabelSet, TargetGroup, watch_job};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api_server::{ApiServer, TOKEN};
use crate::support::prometheus::Prometheus;
use crate::support::running::eventually;

/// Istio's job, pointed at an API server.
fn istio(server: &ApiServer) -> String {
    let place =
        format!("  - role: pod\n    api_server: http://{}\n    authorization: {{credentials: {TOKEN}}}\n", server.address);
    include_str!("istio.yml").replace("  - role: pod\n", &place)
}

fn pod(namespace: &str, name: &str, ip: &str, annotations: &Value) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("uid-{name}"),
            "labels": {"app": name, "version": "v1", "app.kubernetes.io/part-of": "shop"},
            "annotations": annotations,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-rs"), "uid": "u", "controller": true}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 8443, "protocol": "TCP"}]},
                {"name": "istio-proxy", "image": "proxyv2", "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}]},
                {"name": "quiet", "image": "quiet:1"},
            ],
            "initContainers": [{"name": "istio-init", "image": "proxyv2"}],
        },
        "status": {
            "phase": "Running", "podIP": ip, "hostIP": "192.168.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "containerID": "containerd://abc", "image": "app:1", "imageID": "", "ready": true, "restartCount": 0}],
        },
    })
}

/// As the sidecar injector annotates.
fn scraped() -> Value {
    json!({"prometheus.io/scrape": "true", "prometheus.io/port": "15020", "prometheus.io/path": "/stats/prometheus"})
}

fn urls(found: &watch::Receiver<Arc<Discovery>>) -> Vec<String> {
    let mut urls: Vec<String> = found.borrow().targets.iter().map(|target| target.url.clone()).collect();
    urls.sort();
    urls
}

async fn until(found: &watch::Receiver<Arc<Discovery>>, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || async { urls(found) == expected }).await;
}

fn follow(config: &str, stop: &CancellationToken) -> watch::Receiver<Arc<Discovery>> {
    let mut jobs = parse(config, std::path::Path::new(".")).unwrap();
    watch_job(jobs.remove(0), stop.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_come_change_and_go() {
    let (server, stop) = (ApiServer::start().await, CancellationToken::new());
    for (name, ip) in [("cart", "10.0.0.1"), ("stock", "10.0.0.2"), ("mail", "10.0.0.3")] {
        server.put(pod("shop", name, ip, &scraped()));
    }
    server.put(pod("shop", "silent", "10.0.0.9", &json!({})));
    let found = follow(&istio(&server), &stop);
    let url = |ip: &str| format!("http://{ip}:15020/stats/prometheus");
    let (one, two, three, four) = (url("10.0.0.1"), url("10.0.0.2"), url("10.0.0.3"), url("10.0.0.4"));
    until(&found, &[&one, &two, &three]).await;
    let labels = serde_json::to_string(&*found.borrow().targets[0].labels).unwrap();
    assert_eq!(
        labels,
        r#"{"app":"cart","app_kubernetes_io_part_of":"shop","instance":"10.0.0.1:15020","job":"kubernetes-pods","namespace":"shop","node":"node-1","pod":"cart","version":"v1"}"#
    );
    assert!(found.borrow().targets[0].job.honor_labels);
    assert_eq!(found.borrow().dropped_total, 5, "one for each port, and for each container without any");
    // A new one, one that has done its work, one that is gone.
    server.put(pod("shop", "web", "10.0.0.4", &scraped()));
    until(&found, &[&one, &two, &three, &four]).await;
    let mut done = pod("shop", "stock", "10.0.0.2", &scraped());
    done["status"]["phase"] = "Succeeded".into();
    server.put(done);
    server.delete(pod("shop", "mail", "10.0.0.3", &scraped()));
    until(&found, &[&one, &four]).await;
    // The watch ends and goes on where it ended: nothing is listed anew.
    let lists = server.lists();
    server.hang_up();
    server.put(pod("shop", "mail", "10.0.0.3", &scraped()));
    until(&found, &[&one, &three, &four]).await;
    assert_eq!(server.lists(), lists);
    // The server has forgotten what happened: all is listed anew.
    server.forget();
    server.put(pod("shop", "stock", "10.0.0.2", &scraped()));
    until(&found, &[&one, &two, &three, &four]).await;
    assert!(server.lists() > lists);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_namespace_is_followed_alone() {
    let (server, stop) = (ApiServer::start().await, CancellationToken::new());
    server.put(pod("shop", "cart", "10.0.0.1", &scraped()));
    server.put(pod("other", "cart", "10.0.0.2", &scraped()));
    let config = istio(&server).replace("    api_server", "    namespaces: {names: [shop]}\n    api_server");
    let found = follow(&config, &stop);
    until(&found, &["http://10.0.0.1:15020/stats/prometheus"]).await;
    server.put(pod("other", "web", "10.0.0.3", &scraped()));
    server.put(pod("shop", "web", "10.0.0.4", &scraped()));
    until(&found, &["http://10.0.0.1:15020/stats/prometheus", "http://10.0.0.4:15020/stats/prometheus"]).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_finds_nothing_until_he_is() {
    let (server, stop, folder) = (ApiServer::start().await, CancellationToken::new(), tempfile::tempdir().unwrap());
    server.put(pod("shop", "cart", "10.0.0.1", &scraped()));
    let (token, kubeconfig) = (folder.path().join("token"), folder.path().join("kubeconfig"));
    std::fs::write(&token, "wrong").unwrap();
    let text = format!(
        "current-context: here\ncontexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: shop}}\nclusters:\n\
         - name: c\n  cluster: {{server: 'http://{}'}}\nusers:\n- name: u\n  user: {{tokenFile: token}}\n",
        server.address
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let place =
        format!("  - role: pod\n    kubeconfig_file: {}\n    namespaces: {{own_namespace: true}}\n", kubeconfig.display());
    let found = follow(&include_str!("istio.yml").replace("  - role: pod\n", &place), &stop);
    eventually("somebody is turned away", || async { server.turned_away() > 1 }).await;
    assert_eq!(urls(&found), Vec::<String>::new());
    std::fs::write(&token, TOKEN).unwrap();
    until(&found, &["http://10.0.0.1:15020/stats/prometheus"]).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_makes_the_same_targets_of_the_same_pods() {
    let (server, stop) = (ApiServer::start().await, CancellationToken::new());
    server.put(pod("shop", "cart", "10.0.0.1", &scraped()));
    let with = |more: Value| {
        let mut annotations = scraped();
        annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        annotations
    };
    server.put(pod(
        "shop",
        "https",
        "10.0.0.2",
        &with(json!({"prometheus.io/scheme": "https", "prometheus.io/param_module": "a b"})),
    ));
    server.put(pod("shop", "slow", "10.0.0.3", &with(json!({"prometheus.io/scrape-slow": "true"}))));
    server.put(pod("mail", "six", "fd00::1:2", &scraped()));
    server.put(pod("mail", "silent", "10.0.0.5", &json!({})));
    let found = follow(&istio(&server), &stop);
    eventually("all targets", || async { found.borrow().targets.len() == 3 }).await;
    let (mut ours, discovery) = (Vec::new(), found.borrow().clone());
    for target in &discovery.targets {
        ours.push((target.url.clone(), serde_json::to_value(&*target.labels).unwrap()));
    }
    ours.sort_by(|a, b| a.0.cmp(&b.0));
    // Debian builds its Prometheus without Kubernetes: it is given what was discovered, and relabels that.
    let groups: Vec<Value> = server.pods().into_iter().flat_map(|pod| written(&serde_json::from_value(pod).unwrap())).collect();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("pods.json");
    std::fs::write(&file, Value::from(groups).to_string()).unwrap();
    let config = include_str!("istio.yml")
        .replace("kubernetes_sd_configs:\n  - role: pod\n", &format!("file_sd_configs:\n  - files: ['{}']\n", file.display()));
    let peer = Prometheus::start(&config).await;
    let theirs = peer.eventually(|seen| seen.get("kubernetes-pods").is_some_and(|targets| targets.len() >= ours.len())).await;
    assert_eq!(theirs["kubernetes-pods"], ours);
    stop.cancel();
}

/// The targets of a pod in the format of files; labels of the group are those of the pod.
fn written(pod: &Pod) -> Vec<Value> {
    let TargetGroup { targets, labels } = group(pod);
    let each = targets.into_iter().map(|target| {
        let mut all: serde_json::Map<String, Value> = serde_json::Map::new();
        for (name, value) in labels.iter().chain(target.iter()) {
            all.insert(name.to_string(), value.to_string().into());
        }
        json!({"targets": [target.get("__address__")], "labels": all})
    });
    each.collect()
}

#[test]
fn a_pod_has_prometheus_meta_labels() {
    let pod: Pod = serde_json::from_value(pod("shop", "cart", "10.0.0.1", &scraped())).unwrap();
    let TargetGroup { targets, labels } = group(&pod);
    let shown = |labels: &LabelSet| -> Vec<String> {
        labels.iter().map(|(name, value)| format!("{}={value}", name.replace("__meta_kubernetes_", ""))).collect()
    };
    assert_eq!(
        shown(&labels),
        [
            "namespace=shop",
            "pod_annotation_prometheus_io_path=/stats/prometheus",
            "pod_annotation_prometheus_io_port=15020",
            "pod_annotation_prometheus_io_scrape=true",
            "pod_annotationpresent_prometheus_io_path=true",
            "pod_annotationpresent_prometheus_io_port=true",
            "pod_annotationpresent_prometheus_io_scrape=true",
            "pod_controller_kind=ReplicaSet",
            "pod_controller_name=cart-rs",
            "pod_host_ip=192.168.0.1",
            "pod_ip=10.0.0.1",
            "pod_label_app=cart",
            "pod_label_app_kubernetes_io_part_of=shop",
            "pod_label_version=v1",
            "pod_labelpresent_app=true",
            "pod_labelpresent_app_kubernetes_io_part_of=true",
            "pod_labelpresent_version=true",
            "pod_name=cart",
            "pod_node_name=node-1",
            "pod_phase=Running",
            "pod_ready=true",
            "pod_uid=uid-cart",
        ]
    );
    assert_eq!(
        targets.iter().map(|target| target.get("__address__")).collect::<Vec<_>>(),
        ["10.0.0.1:8080", "10.0.0.1:8443", "10.0.0.1:15090", "10.0.0.1", "10.0.0.1"]
    );
    assert_eq!(
        shown(&targets[0])[1..],
        [
            "pod_container_id=containerd://abc",
            "pod_container_image=app:1",
            "pod_container_init=false",
            "pod_container_name=app",
            "pod_container_port_name=http",
            "pod_container_port_number=8080",
            "pod_container_port_protocol=TCP",
        ]
    );
    assert_eq!(targets[4].get("__meta_kubernetes_pod_container_init"), "true");
}
