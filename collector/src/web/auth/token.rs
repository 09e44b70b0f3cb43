//! The secret that opens the dashboard: made once, kept in a file that only its owner may read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::sessions::random_word;

/// Name of the token's file in the data directory.
pub const TOKEN_FILE: &str = "token";
/// Characters of a token that somebody wrote into the file by hand, at least.
const TOKEN_CHARS_MIN: usize = 16;

/// Compared by hash, in constant time. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    hash: blake3::Hash,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("failed to read the token from {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write a new token to {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the token in {path} is shorter than {TOKEN_CHARS_MIN} characters; remove the file to get a new one")]
    TooShort { path: PathBuf },
}

impl Token {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { hash: blake3::hash(text.as_bytes()) }
    }

    /// Reads the token of a data directory, or makes one on first use.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or holds next to nothing.
    pub fn load_or_create(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(TOKEN_FILE);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().len() < TOKEN_CHARS_MIN => Err(TokenError::TooShort { path }),
            Ok(text) => Ok(Self::new(text.trim())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(TokenError::Read { path, source }),
        }
    }

    fn create(path: PathBuf) -> Result<Self, TokenError> {
        let text = random_word();
        match write_new(&path, &text) {
            Ok(()) => Ok(Self::new(&text)),
            Err(source) => Err(TokenError::Write { path, source }),
        }
    }

    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        // `blake3::Hash` compares in constant time.
        self.hash == blake3::hash(given.as_bytes())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{TOKEN_FILE, Token, TokenError};

    #[test]
    fn a_token_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = Token::load_or_create(directory.path()).unwrap();
        let text = std::fs::read_to_string(directory.path().join(TOKEN_FILE)).unwrap();
        assert_eq!(text.trim().len(), 43, "32 bytes in base64");
        assert!(first.matches(text.trim()));
        assert!(Token::load_or_create(directory.path()).unwrap().matches(text.trim()));
        assert!(!first.matches("") && !first.matches(&text.trim()[1..]));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        Token::load_or_create(directory.path()).unwrap();
        let mode = std::fs::metadata(directory.path().join(TOKEN_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(TOKEN_FILE), "\n").unwrap();
        assert!(matches!(Token::load_or_create(directory.path()), Err(TokenError::TooShort { .. })));
    }

    #[test]
    fn debug_does_not_tell() {
        assert_eq!(format!("{:?}", Token::new("secret")), "Token(…)");
    }
}
