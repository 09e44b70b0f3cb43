//! The state of the whole sidecar: starting, live, draining.

use tokio::sync::watch;

/// In the numbers of Envoy's `server.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Live = 0,
    Draining = 1,
    Initializing = 3,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Draining => "DRAINING",
            Self::Initializing => "INITIALIZING",
        }
    }
}

#[derive(Debug)]
pub struct Readiness(watch::Sender<State>);

impl Default for Readiness {
    fn default() -> Self {
        Self(watch::Sender::new(State::Initializing))
    }
}

impl Readiness {
    pub fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Once live, a later warming does not undo it; draining is for ever.
    pub fn set_live(&self) {
        self.0.send_if_modified(|state| {
            let starting = *state == State::Initializing;
            if starting {
                *state = State::Live;
            }
            starting
        });
    }

    pub fn set_draining(&self) {
        self.0.send_replace(State::Draining);
    }

    /// Returns when the sidecar is live; never when it drained before.
    pub async fn wait_live(&self) {
        let mut states = self.0.subscribe();
        // The sender lives as long as we borrow it, so waiting cannot fail.
        let _ = states.wait_for(|state| *state == State::Live).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_is_never_undone() {
        let readiness = Readiness::default();
        readiness.set_live();
        readiness.wait_live().await;
        readiness.set_draining();
        readiness.set_live();
        assert_eq!(readiness.state(), State::Draining);
    }
}
