//! The commands that run until they are told to stop.

pub mod collector;
pub mod config_file;
mod door_args;
pub mod export;
pub mod folder;
mod rule_args;
pub mod sidecar;

use std::io::Read as _;

use tokio_util::sync::CancellationToken;

/// Cancelled by Ctrl-C or SIGTERM, and with `lifeline` when stdin closes.
///
/// # Errors
/// Signals cannot be listened for.
pub fn stop_signal(lifeline: bool) -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    on_signals(&stop)?;
    if lifeline {
        let stop = stop.clone();
        // A thread of its own: a blocked read of the runtime's would hold up its end.
        std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || {
            let mut sink = [0; 64];
            while matches!(std::io::stdin().read(&mut sink), Ok(1..)) {}
            stop.cancel();
        })?;
    }
    Ok(stop)
}

#[cfg(unix)]
fn on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

#[cfg(not(unix))]
fn on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    Ok(())
}
