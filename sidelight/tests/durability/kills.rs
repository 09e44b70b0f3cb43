//! `kill -9` at random moments, hundreds of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{Batch, Numbers, send_spans};
use crate::collector::Place;
use crate::postgres;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::verdict::{check_counts, check_file, check_spans, until_counted};

/// Kills of each test in a normal run.
const KILLS: u64 = 25;
/// After so many kills the file is checked while nobody has it open.
const CHECK_EVERY: u64 = 10;
const CLIENTS: usize = 3;
/// Half of the restarts take no longer, also on a machine that does ten other things.
const RESTART_LIMIT: Duration = Duration::from_secs(10);
/// In every so many lives, as many more batches have to be acknowledged, however slow the machine is.
const LIVES_OF_LOAD: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_collector_loses_nothing_on_sqlite() {
    kill_again_and_again("sqlite", Place::new(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_collector_loses_nothing_on_postgres() {
    kill_again_and_again("postgres", Place::new(Some(postgres::database().await))).await;
}

async fn kill_again_and_again(what: &str, mut place: Place) {
    let kills = std::env::var("SIDELIGHT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let random = Arc::new(Random::of(what));
    let proxies = [Proxy::start("cart").await, Proxy::start("stock").await];
    place.scrape(&proxies.each_ref().map(|proxy| proxy.address));
    let (stop, numbers) = (Arc::new(AtomicBool::new(false)), Arc::new(Numbers::default()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(send_spans(place.address, Arc::clone(&numbers), Arc::clone(&random), Arc::clone(&stop))))
        .collect();

    let mut restarts = Vec::new();
    for number in 1..=kills {
        let (running, took) = place.start().await;
        restarts.push(took);
        let lives = Duration::from_millis(random.between(0, 250));
        proxies.iter().for_each(|proxy| proxy.count(random.between(1, 1_000)));
        tokio::time::sleep(lives).await;
        if number % LIVES_OF_LOAD == 0 {
            numbers.acknowledged_over(number).await;
        }
        running.kill();
        if what == "sqlite" && number % CHECK_EVERY == 0 {
            check_file(place.sqlite_file()).await;
        }
    }
    let (running, took) = place.start().await;
    restarts.push(took);
    stop.store(true, Ordering::Relaxed);
    let mut batches: Vec<Batch> = Vec::new();
    for client in clients {
        batches.extend(client.await.unwrap());
    }

    let found = check_spans(running.address, &batches).await;
    check_counts(running.address, found).await;
    until_counted(&place, &proxies).await;
    running.stop().await;
    if what == "sqlite" {
        check_file(place.sqlite_file()).await;
    }
    assert!(!place.logged().contains("panicked"), "{}", place.logged());

    restarts.sort();
    let (median, slowest) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    let acknowledged = batches.iter().filter(|batch| batch.acknowledged).count();
    println!(
        "{what}: {kills} kills, {acknowledged} batches acknowledged, {} given up, {found} spans, {} requests; \
         restart {median:?} in the middle, {slowest:?} at most",
        batches.len() - acknowledged,
        proxies.iter().map(Proxy::counted).sum::<u64>()
    );
    assert!(median < RESTART_LIMIT, "{median:?}");
}
