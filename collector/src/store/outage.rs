//! Which errors of the database pass by themselves: those are waited out and answered as retryable, the others are not.

use super::StoreError;

/// SQLite's primary result codes: busy, locked, read-only, i/o error, full, cannot open.
const SQLITE_PASSING: [i64; 6] = [5, 6, 8, 10, 13, 14];
/// Classes of SQLSTATE: connection, insufficient resources (disk full, too many clients), operator intervention
/// (shutdown, crash, starting up), system error.
const POSTGRES_CLASSES: [&str; 4] = ["08", "53", "57", "58"];
/// Single SQLSTATEs: serialization failure, deadlock, a standby or a read-only transaction, lock not available.
const POSTGRES_PASSING: [&str; 4] = ["40001", "40P01", "25006", "55P03"];

impl StoreError {
    /// Whether the database is away, full or read-only for now: the same write may succeed later, and every other write
    /// fails as well until then.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Unknown { .. } => true,
            Self::Open { source, .. } | Self::Query(source) => is_outage(source),
            // What is wrong with one batch or one database says nothing about the next try of another.
            _ => false,
        }
    }
}

pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// SQLite's extended codes are numbers, SQLSTATEs have five characters; a number of five digits is none of SQLite's.
fn is_passing_code(code: &str) -> bool {
    match code.parse::<i64>() {
        Ok(number) if code.len() < 5 => SQLITE_PASSING.contains(&(number & 0xff)),
        _ => POSTGRES_PASSING.contains(&code) || POSTGRES_CLASSES.iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disks_and_restarts_pass_and_mistakes_do_not() {
        // SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_READONLY_DBMOVED, SQLITE_BUSY_SNAPSHOT; disk full, shutdown, deadlock.
        for code in ["13", "778", "1032", "517", "53100", "57P01", "40P01", "08006"] {
            assert!(is_passing_code(code), "{code}");
        }
        // SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_CONSTRAINT_UNIQUE; syntax error, unique violation, undefined table.
        for code in ["1", "11", "2067", "42601", "23505", "42P01"] {
            assert!(!is_passing_code(code), "{code}");
        }
    }
}
