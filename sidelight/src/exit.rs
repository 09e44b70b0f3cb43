//! How a command ends: what is printed, and with which code.

use std::process::ExitCode;

/// Settings that cannot work; 1 is any other failure, and clap ends with 2 on wrong usage.
const BAD_SETTINGS: u8 = 64;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Exit {
    /// Something failed: 1.
    Failed(anyhow::Error),
    /// Settings, each mistake in one sentence: 64.
    Settings(Vec<String>),
    /// Everything there is to say has been printed: 1.
    Told,
}

impl Exit {
    #[must_use]
    pub fn settings(mistake: impl Into<String>) -> Self {
        Self::Settings(vec![mistake.into()])
    }
}

impl<E: Into<anyhow::Error>> From<E> for Exit {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Prints the reason and picks the code.
pub fn code(result: Result<(), Exit>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Told) => ExitCode::FAILURE,
        Err(Exit::Failed(error)) if reader_left(&error) => ExitCode::SUCCESS,
        Err(Exit::Failed(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(Exit::Settings(mistakes)) => {
            for mistake in mistakes {
                eprintln!("error: {mistake}");
            }
            ExitCode::from(BAD_SETTINGS)
        }
    }
}

/// `sidelight get | head`: the reader has seen enough, which is no failure.
fn reader_left(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
