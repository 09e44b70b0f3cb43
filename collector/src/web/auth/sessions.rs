//! The sessions that are open, in memory: a restart logs everybody out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;

/// How long a login lasts.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Sessions at the same time; beyond this the oldest is closed.
pub const SESSIONS_MAX: usize = 1024;

/// Hashes of the ids, so that neither memory nor timing gives an id away.
#[derive(Default)]
pub struct Sessions {
    expiry: HashMap<[u8; 32], Instant>,
}

impl Sessions {
    /// A new session's id: 256 random bits.
    pub fn open(&mut self, now: Instant) -> String {
        self.expiry.retain(|_, expiry| *expiry > now);
        if self.expiry.len() >= SESSIONS_MAX
            && let Some(oldest) = self.expiry.iter().min_by_key(|(_, expiry)| **expiry).map(|(hash, _)| *hash)
        {
            self.expiry.remove(&oldest);
        }
        let id = random_word();
        self.expiry.insert(hash(&id), now + SESSION_LIFETIME);
        id
    }

    pub fn knows(&self, id: &str, now: Instant) -> bool {
        self.expiry.get(&hash(id)).is_some_and(|expiry| *expiry > now)
    }

    pub fn close(&mut self, id: &str) {
        self.expiry.remove(&hash(id));
    }
}

/// 32 bytes of the operating system's randomness as text.
pub fn random_word() -> String {
    let mut bytes = [0u8; 32];
    // Without randomness there is no safe way on: nothing may be served with a guessable secret.
    OsRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hash(id: &str) -> [u8; 32] {
    *blake3::hash(id.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::{SESSION_LIFETIME, SESSIONS_MAX, Sessions};
    use std::time::{Duration, Instant};

    #[test]
    fn a_session_ends_after_its_time() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.open(now);
        assert!(sessions.knows(&id, now + SESSION_LIFETIME - Duration::from_secs(1)));
        assert!(!sessions.knows(&id, now + SESSION_LIFETIME));
        assert!(!sessions.knows("other", now));
    }

    #[test]
    fn a_closed_session_is_unknown() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.open(now);
        sessions.close(&id);
        assert!(!sessions.knows(&id, now));
    }

    #[test]
    fn the_oldest_gives_way_when_there_are_too_many() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.open(now);
        let later = now + Duration::from_secs(1);
        let ids: Vec<String> = (0..SESSIONS_MAX).map(|_| sessions.open(later)).collect();
        assert!(!sessions.knows(&first, later));
        assert!(ids.iter().all(|id| sessions.knows(id, later)));
    }
}
