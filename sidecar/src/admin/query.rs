//! Query strings of the admin interface.

/// Names and values, percent-decoded, in the order in which they came.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// Arguments that are read of one query.
const ARGUMENTS_MAX: usize = 32;

impl Query {
    pub fn parse(raw: Option<&str>) -> Self {
        let pairs = raw.unwrap_or_default().split('&');
        Self(
            pairs
                .filter(|pair| !pair.is_empty())
                .take(ARGUMENTS_MAX)
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |at: usize| (*tail.get(at)? as char).to_digit(16);
        rest = tail;
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            (b'+', ..) => bytes.push(b' '),
            (other, ..) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_flags_are_there() {
        let query = Query::parse(Some("usedonly&filter=%5Ecluster%5C.&x=a+b%"));
        assert!(query.has("usedonly"));
        assert_eq!(query.get("filter"), Some("^cluster\\."));
        assert_eq!(query.get("x"), Some("a b%"));
        assert_eq!(query.get("y"), None);
    }
}
