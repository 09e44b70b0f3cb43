//! A private Postgres for the tests: one server per test program, one database per test.
//!
//! `SIDELIGHT_TEST_POSTGRES` names another server (a URL whose user may create databases). Otherwise Debian's binaries
//! are started on a socket in a temporary folder, and end with the test program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection};

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

struct Server {
    /// Of the database `postgres`.
    url: String,
    /// Its standard input is the leash: when this program ends, the pipe closes and the server stops.
    _watcher: Option<Child>,
}

/// The URL of an empty database of its own.
pub async fn database() -> String {
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.unwrap();
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("sidelight_test_{}_{number}", std::process::id());
    let mut connection = connect(&server.url).await;
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    with_database(&server.url, &name)
}

async fn connect(url: &str) -> PgConnection {
    let mut attempts = 0;
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) if attempts == 200 => panic!("no connection to the test's Postgres: {error}"),
            Err(_) => attempts += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let server = base[authority..].find('/').map_or(base, |slash| &base[..authority + slash]);
    format!("{server}/{name}{query}")
}

fn start() -> Server {
    if let Ok(url) = std::env::var("SIDELIGHT_TEST_POSTGRES") {
        return Server { url, _watcher: None };
    }
    let binaries = binaries();
    let folder = tempfile::Builder::new().prefix("sidelight-pg-").tempdir().unwrap().keep();
    give_to_postgres(&folder);
    let data = folder.join("data");
    let initdb = as_postgres(&binaries.join("initdb"))
        .args(["--username=sidelight", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
        .arg(&data)
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
    let watcher = Command::new("sh")
        .args(["-c", WATCHER, "sh"])
        .arg(&folder)
        .args(command_line(&binaries.join("postgres")))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=300", "-k"])
        .arg(&folder)
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("postgres://sidelight@localhost/postgres?host={}", folder.display());
    Server { url, _watcher: Some(watcher) }
}

/// Starts the server, waits for the end of standard input, stops the server and removes its folder.
const WATCHER: &str =
    r#"folder=$1; shift; "$@" </dev/null & server=$!; cat >/dev/null; kill -INT $server; wait $server; rm -rf "$folder""#;

pub fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().expect("install Debian's package `postgresql`, or set SIDELIGHT_TEST_POSTGRES to a server's URL")
}

/// Postgres refuses to run as root.
fn is_root() -> bool {
    id(&["-u"]) == "0"
}

fn id(arguments: &[&str]) -> String {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn command_line(program: &Path) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    if is_root() {
        words.extend(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned));
    }
    words.push(program.display().to_string());
    words
}

pub fn as_postgres(program: &Path) -> Command {
    let words = command_line(program);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

pub fn give_to_postgres(folder: &Path) {
    if is_root() {
        let number = |argument| id(&[argument, "postgres"]).parse::<u32>().ok();
        std::os::unix::fs::chown(folder, number("-u"), number("-g")).unwrap();
    }
}
