//! Prometheus' names for OTLP's metrics and attributes, by the rules that OpenTelemetry wrote down for it.

/// What a metric is, as far as its name tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    Gauge,
    Other,
}

/// Name of a unit, and of the same unit below a fraction line.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// `http.server.duration` in `ms` is `http_server_duration_milliseconds`; a counter ends in `_total`.
#[must_use]
pub fn metric_name(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<String> = words(name).map(str::to_owned).collect();
    if kind == Kind::Counter {
        words.retain(|word| word != "total");
    }
    for suffix in unit_suffixes(unit, kind) {
        let parts: Vec<&str> = suffix.split('_').collect();
        if !parts.iter().all(|part| words.iter().any(|word| word == part)) {
            words.extend(parts.into_iter().map(str::to_owned));
        }
    }
    if kind == Kind::Counter {
        words.push("total".to_owned());
    }
    let mut name = words.join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|word| !word.is_empty())
}

/// Of `By/s` first `bytes`, then `per_second`. What stands in braces is a remark and no unit.
fn unit_suffixes(unit: &str, kind: Kind) -> Vec<String> {
    if unit == "1" {
        return if kind == Kind::Gauge { vec!["ratio".to_owned()] } else { Vec::new() };
    }
    let (main, per) = unit.split_once('/').map_or((unit, ""), |(main, per)| (main, per));
    let main = named(main, &UNITS);
    let per = named(per, &PER).map(|per| format!("per_{per}"));
    main.into_iter().chain(per).collect()
}

fn named(unit: &str, names: &[(&str, &str)]) -> Option<String> {
    let unit = unit.trim();
    if unit.is_empty() || unit.contains(['{', '}']) {
        return None;
    }
    let known = names.iter().find(|(short, _)| *short == unit).map(|(_, long)| (*long).to_owned());
    Some(known.unwrap_or_else(|| words(unit).collect::<Vec<_>>().join("_"))).filter(|name| !name.is_empty())
}

/// `http.method` is `http_method`.
#[must_use]
pub fn label_name(key: &str) -> String {
    let mut name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        let cases = [
            ("http.server.duration", "ms", Kind::Other, "http_server_duration_milliseconds"),
            ("requests", "{request}", Kind::Counter, "requests_total"),
            ("requests.total", "", Kind::Counter, "requests_total"),
            ("system.network.io", "By", Kind::Counter, "system_network_io_bytes_total"),
            ("disk.throughput", "By/s", Kind::Gauge, "disk_throughput_bytes_per_second"),
            ("memory_bytes", "By", Kind::Gauge, "memory_bytes"),
            ("cpu.utilization", "1", Kind::Gauge, "cpu_utilization_ratio"),
            ("cpu.utilization", "1", Kind::Other, "cpu_utilization"),
            ("2nd-try__count", "", Kind::Gauge, "_2nd_try_count"),
            ("humidity", "%", Kind::Gauge, "humidity_percent"),
            ("speed", "m/{lap}", Kind::Gauge, "speed_meters"),
            ("odd", "furlong", Kind::Gauge, "odd_furlong"),
        ];
        for (name, unit, kind, expected) in cases {
            assert_eq!(metric_name(name, unit, kind), expected, "{name} in {unit}");
        }
    }

    #[test]
    fn labels_have_letters_digits_and_underscores() {
        assert_eq!(
            [label_name("http.method"), label_name("1st"), label_name("größe"), label_name("")],
            ["http_method", "key_1st", "gr__e", "key_"]
        );
    }
}
