//! A wire between the collector and its database that can be cut, or swallow everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Whole,
    /// Takes connections and bytes, and passes nothing on.
    Silent,
    /// Breaks what is open; what is opened after that is whole.
    Cut(u64),
}

#[derive(Clone)]
pub struct Wire {
    pub port: u16,
    state: Arc<watch::Sender<State>>,
}

impl Wire {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), state: Arc::new(watch::Sender::new(State::Whole)) };
        let sender = Arc::clone(&wire.state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let (near, far) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near.0, far.1, sender.subscribe()));
                tokio::spawn(pass(far.0, near.1, sender.subscribe()));
            }
        });
        wire
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let opened_in = *state.borrow_and_update();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = tokio::select! {
            read = from.read(&mut bytes) => match read {
                Ok(count) if count > 0 => count,
                _ => return,
            },
            _ = state.changed() => 0,
        };
        let now = *state.borrow_and_update();
        if matches!(now, State::Cut(_)) && now != opened_in {
            return;
        }
        while *state.borrow() == State::Silent {
            // What it swallowed never comes out, not even later.
            if state.changed().await.is_err() || *state.borrow() != State::Silent {
                return;
            }
        }
        if count > 0 && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::ZERO).await;
    }
}
