//! A sidecar as a process: a runtime of its own, until a signal or `/quitquitquit` ends it.

use crate::bootstrap::Bootstrap;
use crate::options::SidecarOptions;
use crate::sidecar::{Sidecar, StartError};

/// Blocks until the process is asked to end and the sidecar has drained. `also` is a further reason to end.
pub fn run(
    bootstrap: Bootstrap,
    options: SidecarOptions,
    also: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.concurrency.max(1))
        .thread_name("sidecar")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let sidecar = Sidecar::start_with(bootstrap, options).await?;
        tokio::select! {
            () = signal() => {}
            () = sidecar.quit_requested() => {}
            () = also => {}
        }
        sidecar.shutdown().await;
        Ok(())
    })
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    // Without a handler the process ends by itself on Ctrl-C.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
