//! Numbers and texts as Go's `fmt` writes them.

use super::value::Value;
use super::{RENDERED_BYTES_MAX, TemplateError, wrong};

/// Widest field and highest precision of `printf`.
const WIDTH_MAX: usize = 1_000;

/// `%v`: the shortest digits that read back, with an exponent for large and small ones.
pub fn number(value: f64) -> String {
    /// From a million on Go writes an exponent where it chooses the digits.
    const PLAIN_DIGITS: i32 = 6;
    general(value, None, PLAIN_DIGITS)
}

/// `%.{digits}g`
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    general(value, Some(digits), i32::try_from(digits).unwrap_or(i32::MAX))
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// Digits and exponent of a number; all digits that it takes to read it back without a precision.
fn general(value: f64, digits: Option<usize>, plain_below: i32) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= plain_below {
        return with_exponent(mantissa, exponent);
    }
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32);
    let places = usize::try_from(decimals - exponent).unwrap_or(0);
    format!("{value:.places$}")
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// A verb of `printf` with what stands before it.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Verb {
    fn pad(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match text.strip_prefix(['-', '+']) {
            _ if self.minus => format!("{text}{}", " ".repeat(missing)),
            Some(digits) if self.zero => format!("{}{}{digits}", &text[..1], "0".repeat(missing)),
            None if self.zero => format!("{}{text}", "0".repeat(missing)),
            _ => format!("{}{text}", " ".repeat(missing)),
        }
    }

    fn write(&self, verb: char, value: &Value) -> String {
        let signed = |text: String, value: f64| if self.plus && value >= 0.0 { format!("+{text}") } else { text };
        let text = match (verb, value) {
            ('v' | 's', value) => match self.precision {
                Some(length) if verb == 's' => value.to_string().chars().take(length).collect(),
                _ => value.to_string(),
            },
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Int(value)) => signed(value.to_string(), *value as f64),
            ('x', Value::Int(value)) => format!("{value:x}"),
            ('X', Value::Int(value)) => format!("{value:X}"),
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('f' | 'F' | 'e' | 'g' | 'G', Value::Float(value)) => signed(self.float(verb, *value), *value),
            (verb, value) => return format!("%!{verb}({})", typed(value)),
        };
        self.pad(&text)
    }

    fn float(&self, verb: char, value: f64) -> String {
        if let Some(text) = special(value) {
            return text.to_owned();
        }
        match verb {
            'f' | 'F' => format!("{value:.*}", self.precision.unwrap_or(6)),
            'e' => {
                let text = format!("{value:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                with_exponent(mantissa, exponent.parse().unwrap_or(0))
            }
            _ => self.precision.map_or_else(|| number(value), |digits| significant(value, digits)),
        }
    }
}

/// What Go says of an argument that does not fit its verb.
fn typed(value: &Value) -> String {
    let kind = match value {
        Value::Nil => return "<nil>".to_owned(),
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    };
    format!("{kind}={value}")
}

/// # Errors
/// When the text becomes too long.
pub fn printf(pattern: &str, args: &[Value]) -> Result<String, TemplateError> {
    let (mut out, mut rest, mut next) = (String::new(), pattern, args.iter());
    while let Some(place) = rest.find('%') {
        out.push_str(&rest[..place]);
        let (verb, after) = verb(&rest[place + 1..])?;
        let mut chars = after.chars();
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match next.next() {
                Some(value) => out.push_str(&verb.write(letter, value)),
                None => out.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
        rest = chars.as_str();
        if out.len() > RENDERED_BYTES_MAX {
            return wrong("printf makes too long a text");
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = next.map(typed).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

fn verb(text: &str) -> Result<(Verb, &str), TemplateError> {
    let (mut verb, mut rest) = (Verb::default(), text);
    loop {
        match rest.as_bytes().first() {
            Some(b'-') => verb.minus = true,
            Some(b'+') => verb.plus = true,
            Some(b'0') => verb.zero = true,
            Some(b' ' | b'#') => {}
            _ => break,
        }
        rest = &rest[1..];
    }
    let (width, after) = count(rest)?;
    (verb.width, rest) = (width.unwrap_or(0), after);
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = count(after)?;
        (verb.precision, rest) = (Some(precision.unwrap_or(0)), after);
    }
    Ok((verb, rest))
}

fn count(text: &str) -> Result<(Option<usize>, &str), TemplateError> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    match digits.parse() {
        _ if digits.is_empty() => Ok((None, rest)),
        Ok(count) if count <= WIDTH_MAX => Ok((Some(count), rest)),
        _ => wrong(format!("a field of printf may be {WIDTH_MAX} wide")),
    }
}
