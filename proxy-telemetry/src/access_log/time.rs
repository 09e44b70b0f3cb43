//! Start times in log lines: the default form without a detour, others by a small strftime.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A compiled time format; always UTC.
#[derive(Clone, Debug)]
pub(super) struct TimeFormat(Vec<Token>);

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(char),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    EpochSeconds,
    /// Digits of the fraction of a second, 1 to 9.
    Fraction(usize),
    Zone,
}

const DEFAULT: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";

impl TimeFormat {
    /// Compiles a format; empty means the default. `None` when a conversion is not known.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                tokens.push(Token::Literal(c));
                continue;
            }
            match chars.next()? {
                'F' => tokens.extend(Self::parse("%Y-%m-%d")?.0),
                'T' => tokens.extend(Self::parse("%H:%M:%S")?.0),
                digit @ '1'..='9' if chars.next()? == 'f' => {
                    tokens.push(Token::Fraction(digit.to_digit(10)? as usize));
                }
                letter => tokens.push(conversion(letter)?),
            }
        }
        Some(Self(tokens))
    }

    pub(super) fn render(&self, at: SystemTime, out: &mut Vec<u8>) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
        let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        for token in &self.0 {
            token.render(date, since, out);
        }
    }
}

fn conversion(letter: char) -> Option<Token> {
    Some(match letter {
        'Y' => Token::Year,
        'm' => Token::Month,
        'd' => Token::Day,
        'H' => Token::Hour,
        'M' => Token::Minute,
        'S' => Token::Second,
        's' => Token::EpochSeconds,
        'f' => Token::Fraction(9),
        'z' => Token::Zone,
        '%' => Token::Literal('%'),
        _ => return None,
    })
}

impl Token {
    fn render(&self, date: OffsetDateTime, since: Duration, out: &mut Vec<u8>) {
        // Writing into a vector cannot fail.
        let _ = match self {
            Self::Literal(c) => write!(out, "{c}"),
            Self::Year => write!(out, "{:04}", date.year()),
            Self::Month => write!(out, "{:02}", u8::from(date.month())),
            Self::Day => write!(out, "{:02}", date.day()),
            Self::Hour => write!(out, "{:02}", date.hour()),
            Self::Minute => write!(out, "{:02}", date.minute()),
            Self::Second => write!(out, "{:02}", date.second()),
            Self::EpochSeconds => write!(out, "{}", since.as_secs()),
            Self::Fraction(digits) => {
                let nanos = format!("{:09}", since.subsec_nanos());
                out.write_all(&nanos.as_bytes()[..*digits])
            }
            Self::Zone => out.write_all(b"+0000"),
        };
    }
}
