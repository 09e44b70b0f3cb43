//! The disk is full, the database is away, locked, read-only or silent, and comes back: nothing acknowledged is lost,
//! nothing is stored twice, and the collector goes on by itself.
//!
//! A full disk is a limit on the size of files (`RLIMIT_FSIZE`), which any user may set for a process: every write beyond it
//! fails with EFBIG, as it would with ENOSPC.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::client::{Batch, Numbers, REFUSED, get, send_spans};
use crate::collector::{Place, Running};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::server::Server;
use crate::verdict::{check_counts, check_file, check_spans, until_counted};
use crate::wire::{State, Wire};

const CLIENTS: usize = 3;
/// How long the collector has to notice, and then to come back.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines that an outage may write to the log.
const LINES_MAX: usize = 40;
/// What an outage may add to the memory of the collector.
const MEMORY_MAX: u64 = 96 * 1024 * 1024;

/// How long an outage lasts after it was noticed; `SIDELIGHT_OUTAGE_S` makes it minutes.
fn length() -> Duration {
    let seconds = std::env::var("SIDELIGHT_OUTAGE_S").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// A collector under load.
struct Loaded {
    place: Place,
    running: Running,
    proxies: [Proxy; 2],
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<Batch>>>,
}

impl Loaded {
    async fn start(what: &str, mut place: Place) -> Self {
        let random = Arc::new(Random::of(what));
        let proxies = [Proxy::start("cart").await, Proxy::start("stock").await];
        place.scrape(&proxies.each_ref().map(|proxy| proxy.address));
        let (stop, numbers) = (Arc::new(AtomicBool::new(false)), Arc::new(Numbers::default()));
        let (running, _) = place.start().await;
        let client = |_| tokio::spawn(send_spans(place.address, Arc::clone(&numbers), Arc::clone(&random), Arc::clone(&stop)));
        let clients = (0..CLIENTS).map(client).collect();
        let loaded = Self { place, running, proxies, stop, clients };
        loaded.work().await;
        loaded
    }

    /// Some of everything.
    async fn work(&self) {
        for _ in 0..10 {
            self.proxies.iter().for_each(|proxy| proxy.count(17));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_ready(&self, expected: StatusCode) {
        let began = Instant::now();
        loop {
            match get(self.place.address, "/readyz").await {
                Some((status, _)) if status == expected => return,
                other => assert!(began.elapsed() < LIMIT, "{other:?} and not {expected}:\n{}", self.place.logged()),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An outage that was begun: waits until it is noticed, and looks at how it is borne.
    async fn bear(&self) {
        self.until_ready(StatusCode::SERVICE_UNAVAILABLE).await;
        let (began, lines) = (Instant::now(), self.place.logged().lines().count());
        let (before, refused) = (usage(&self.running), REFUSED.load(Ordering::Relaxed));
        self.work().await;
        tokio::time::sleep(length()).await;
        let after = usage(&self.running);
        let share = (after.cpu_s - before.cpu_s) / began.elapsed().as_secs_f64();
        assert!(share < 0.9, "{share:.2} of a core: a busy loop?");
        assert!(after.bytes < before.bytes + MEMORY_MAX, "{} -> {} bytes", before.bytes, after.bytes);
        let logged = self.place.logged();
        let lines: Vec<&str> = logged.lines().skip(lines).collect();
        assert!(lines.len() < LINES_MAX, "{} lines:\n{}", lines.len(), lines.join("\n"));
        println!(
            "  {:.1} s: {:.0} % of a core, {} KiB more, {} lines of log, {} answers to try again",
            began.elapsed().as_secs_f64(),
            share * 100.0,
            (after.bytes as i64 - before.bytes as i64) / 1024,
            lines.len(),
            REFUSED.load(Ordering::Relaxed) - refused
        );
    }

    /// The outage is over: everything comes back by itself, and everything is exact.
    async fn end(self) -> Place {
        let began = Instant::now();
        self.until_ready(StatusCode::OK).await;
        let back = began.elapsed();
        self.work().await;
        self.stop.store(true, Ordering::Relaxed);
        let mut batches: Vec<Batch> = Vec::new();
        for client in self.clients {
            batches.extend(client.await.unwrap());
        }
        let found = check_spans(self.place.address, &batches).await;
        check_counts(self.place.address, found).await;
        until_counted(&self.place, &self.proxies).await;
        self.running.stop().await;
        assert!(!self.place.logged().contains("panicked"), "{}", self.place.logged());
        println!("  ready again after {back:?}; {} batches, {found} spans", batches.len());
        self.place
    }
}

struct Usage {
    cpu_s: f64,
    bytes: u64,
}

fn usage(running: &Running) -> Usage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", running.id())).unwrap();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let pages = read("statm").split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
    Usage { cpu_s: ticks / 100.0, bytes: pages * 4096 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let mut place = Place::new(None);
    // Without the signal, writes fail with an error instead of ending the process.
    place.wrapper = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    let loaded = Loaded::start("full disk", place).await;
    let limit = |limit: &str| {
        let id = loaded.running.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={limit}")]).status().unwrap();
        assert!(set.success());
    };
    // Less than the log has already.
    limit("100000:unlimited");
    loaded.bear().await;
    limit("unlimited:unlimited");
    let place = loaded.end().await;
    check_file(place.sqlite_file()).await;
}

/// Makes files fail to be written, also by those who have them open, as on a disk that was mounted anew to be only read.
/// Not the shared memory beside the file: it is in memory, and no disk takes that away.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn new(database: &Path) -> Self {
        let immutable = Self(vec![database.to_owned(), database.with_extension("db-wal")]);
        assert!(immutable.set("+i"), "chattr +i has to be allowed: run as root, on a file system like ext4");
        immutable
    }

    fn set(&self, what: &str) -> bool {
        Command::new("chattr").arg(what).args(&self.0).status().unwrap().success()
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.set("-i");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only() {
    let loaded = Loaded::start("read-only disk", Place::new(None)).await;
    let immutable = Immutable::new(loaded.place.sqlite_file());
    loaded.bear().await;
    drop(immutable);
    let place = loaded.end().await;
    check_file(place.sqlite_file()).await;
}

/// Root may write what nobody may, unless it gives that up.
const WITHOUT_PRIVILEGE: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_read_only_at_the_start() {
    let mut place = Place::new(None);
    if std::fs::metadata(place.folder.path()).unwrap().uid() == 0 {
        place.wrapper = WITHOUT_PRIVILEGE.map(str::to_owned).to_vec();
    }
    let (running, _) = place.start().await;
    running.stop().await;
    let set = |mode: u32| {
        for path in [place.sqlite_file(), place.folder.path()] {
            let mode = if path.is_dir() { mode | 0o111 } else { mode };
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o444);
    let before = place.logged().len();
    let status = place.spawn().ended();
    set(0o644);
    let logged = place.logged();
    assert!(!status.success(), "{logged}");
    let told = &logged[before..];
    let file = place.sqlite_file().display().to_string();
    assert!(told.contains(&file) && told.contains("readonly"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    let (running, _) = place.start().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_holds() {
    use sqlx::Connection as _;
    let loaded = Loaded::start("locked file", Place::new(None)).await;
    let url = format!("sqlite:{}", loaded.place.sqlite_file().display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    loaded.bear().await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    loaded.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_comes_back() {
    let mut server = Server::start().await;
    let loaded = Loaded::start("crash", Place::new(Some(server.url()))).await;
    server.crash();
    loaded.bear().await;
    server.run().await;
    loaded.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_read_only_for_a_while() {
    let server = Server::start().await;
    let loaded = Loaded::start("read-only", Place::new(Some(server.url()))).await;
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.execute("SELECT pg_reload_conf()").await;
    loaded.bear().await;
    server.execute("ALTER SYSTEM RESET default_transaction_read_only").await;
    server.execute("SELECT pg_reload_conf()").await;
    loaded.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing() {
    let server = Server::start().await;
    let wire = Wire::to(server.port).await;
    let loaded = Loaded::start("silence", Place::new(Some(server.url_at(wire.port)))).await;
    wire.set(State::Silent);
    loaded.bear().await;
    wire.set(State::Whole);
    loaded.end().await;
}

/// A connection that breaks while it commits leaves open what became of the batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_again_and_again() {
    let server = Server::start().await;
    let wire = Wire::to(server.port).await;
    let loaded = Loaded::start("cuts", Place::new(Some(server.url_at(wire.port)))).await;
    let random = Random::of("cuts at");
    let refused = REFUSED.load(Ordering::Relaxed);
    for cut in 0..60 {
        loaded.proxies.iter().for_each(|proxy| proxy.count(5));
        tokio::time::sleep(Duration::from_millis(random.between(5, 120))).await;
        wire.set(State::Cut(cut));
    }
    println!("  60 cuts, {} answers to try again", REFUSED.load(Ordering::Relaxed) - refused);
    loaded.end().await;
}
