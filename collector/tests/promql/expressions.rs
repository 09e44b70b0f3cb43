//! Random expressions over the generated series.

use crate::samples::{COUNT, INTERVAL_MS, Random, START_MS};

const INSTANTS: [&str; 14] = [
    "requests_total",
    "requests_total{code=\"200\"}",
    "requests_total{job=~\"api|db\",code!=\"404\"}",
    "requests_total{instance!~\"b.*\"}",
    "{__name__=~\"requests_total|limit\",job=\"web\"}",
    "temperature",
    "temperature{job=\"db\"}",
    "limit",
    "limit{job=\"nowhere\"}",
    "latency_bucket",
    "latency_bucket{le=\"+Inf\"}",
    "latency_count",
    "latency_sum",
    "odd",
];
const RANGES: [&str; 8] = ["15s", "30s", "1m", "2m", "90s", "5m", "17m", "1h"];
const OFFSETS: [&str; 7] = ["", "", "", " offset 1m", " offset -45s", " offset 7m", " offset 3s"];
const OVER_TIME: [&str; 20] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "sum_over_time",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "absent_over_time",
    "rate",
    "increase",
];
const OF_VECTORS: [&str; 25] = [
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "deg", "rad", "sgn", "absent", "round",
];
/// Of times only: what Go makes of a date that is no number depends on the machine.
const OF_TIMES: [&str; 8] = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];
const AGGREGATIONS: [&str; 8] = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
const LABELS: [&str; 8] = ["job", "code", "instance", "le", "job, code", "job, instance", "job, le", ""];
/// Without atan2, which keeps the name in the Prometheus of Debian 12, by mistake; see `differential`.
const ARITHMETIC: [&str; 6] = ["+", "-", "*", "/", "%", "^"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];

pub struct Expressions(Random);

impl Expressions {
    pub fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// An expression that yields a vector.
    pub fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.instant();
        }
        match self.0.below(13) {
            0 => self.instant(),
            1..=3 => self.over_time(depth),
            4 => {
                let function = self.0.pick(&OF_VECTORS);
                format!("{function}({})", self.vector(depth - 1))
            }
            5 | 6 => self.aggregate(depth),
            7 => {
                let k = self.0.pick(&["1", "2", "3", "0", "100"]);
                let function = self.0.pick(&["topk", "bottomk"]);
                format!("{function} by ({}) ({k}, {})", self.0.pick(&LABELS), self.vector(depth - 1))
            }
            8 => format!("{} {} {}", self.operand(depth - 1), self.arithmetic(), self.scalar(depth - 1)),
            9 => format!("{} {} {}", self.scalar(depth - 1), self.comparison(), self.operand(depth - 1)),
            10 | 11 => self.matched(depth),
            _ => self.special(depth),
        }
    }

    fn instant(&mut self) -> String {
        let at = match self.0.below(12) {
            0 => format!(" @ {}", (START_MS + self.0.below(COUNT as usize) as i64 * INTERVAL_MS) / 1000),
            1 => " @ end()".to_owned(),
            2 => " @ start()".to_owned(),
            _ => String::new(),
        };
        format!("{}{at}{}", self.0.pick(&INSTANTS), self.0.pick(&OFFSETS))
    }

    fn range(&mut self, depth: usize) -> String {
        if depth > 1 && self.0.one_in(4) {
            let step = self.0.pick(&["", "15s", "20s", "1m", "7s"]);
            return format!("({})[{}:{step}]{}", self.vector(depth - 2), self.0.pick(&RANGES), self.0.pick(&OFFSETS));
        }
        format!("{}[{}]{}", self.0.pick(&INSTANTS), self.0.pick(&RANGES), self.0.pick(&OFFSETS))
    }

    fn over_time(&mut self, depth: usize) -> String {
        match self.0.below(12) {
            0 => format!("quantile_over_time({}, {})", self.0.pick(&["0.5", "0.9", "0", "1", "2"]), self.range(depth)),
            1 => format!("predict_linear({}, {})", self.range(depth), self.0.pick(&["60", "-300", "3600"])),
            2 => format!("holt_winters({}, 0.3, 0.6)", self.range(depth)),
            _ => format!("{}({})", self.0.pick(&OVER_TIME), self.range(depth)),
        }
    }

    fn aggregate(&mut self, depth: usize) -> String {
        let inner = self.vector(depth - 1);
        let labels = self.0.pick(&LABELS);
        match self.0.below(8) {
            0 => format!("quantile by ({labels}) ({}, {inner})", self.0.pick(&["0.5", "0.25", "1.5"])),
            // The last digit of a sine is another one in another library.
            1 => format!("count_values by ({labels}) (\"value\", {})", self.instant()),
            2 => format!("{}({inner})", self.0.pick(&AGGREGATIONS)),
            3 | 4 => format!("{} without ({labels}) ({inner})", self.0.pick(&AGGREGATIONS)),
            _ => format!("{} by ({labels}) ({inner})", self.0.pick(&AGGREGATIONS)),
        }
    }

    fn matched(&mut self, depth: usize) -> String {
        let (left, right) = (self.operand(depth - 1), self.operand(depth - 1));
        let labels = self.0.pick(&LABELS);
        let matching = match self.0.below(4) {
            0 => String::new(),
            1 => format!("ignoring ({labels})"),
            _ => format!("on ({labels})"),
        };
        if self.0.one_in(3) {
            return format!("{left} {} {matching} {right}", self.0.pick(&["and", "or", "unless"]));
        }
        let group = match self.0.below(3) {
            0 if !matching.is_empty() => "group_left",
            1 if !matching.is_empty() => "group_right",
            _ => "",
        };
        let operator = if self.0.one_in(3) { self.comparison() } else { self.arithmetic() };
        format!("{left} {operator} {matching} {group} {right}")
    }

    fn special(&mut self, depth: usize) -> String {
        let inner = self.vector(depth - 1);
        match self.0.below(10) {
            // With `@` this Prometheus forgets the offset of a timestamp's argument.
            8 if self.0.one_in(2) => format!("timestamp({}{}) - 1790000000", self.0.pick(&INSTANTS), self.0.pick(&OFFSETS)),
            8 => {
                let factor = self.0.pick(&["1", "0.7", "1.3"]);
                format!("{}(timestamp({}) * {factor})", self.0.pick(&OF_TIMES), self.0.pick(&INSTANTS))
            }
            9 => format!("{}()", self.0.pick(&OF_TIMES)),
            0 => format!("histogram_quantile({}, {})", self.0.pick(&["0.5", "0.99", "0", "1", "-1"]), self.buckets()),
            1 => format!("histogram_quantile(0.9, sum by (le, job) ({}))", self.buckets()),
            2 => format!("label_replace({inner}, \"who\", \"$1-x\", \"instance\", \"(.)(:.*)\")"),
            3 => format!("label_join({inner}, \"who\", \"/\", \"job\", \"code\")"),
            4 => format!("clamp({inner}, -5, {})", self.0.pick(&["20", "0", "-9"])),
            5 => format!("clamp_max({inner}, 40)"),
            6 => format!("-({inner})"),
            _ => format!("vector({})", self.scalar(depth - 1)),
        }
    }

    fn buckets(&mut self) -> String {
        let range = self.0.pick(&RANGES);
        self.0
            .pick(&["latency_bucket", "latency_bucket{le!=\"5\"}", "latency_bucket{le!=\"+Inf\"}", "RATE"])
            .replace("RATE", &format!("rate(latency_bucket[{range}])"))
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.0.below(6) {
            0 => "time()".to_owned(),
            1 => format!("scalar({})", self.vector(depth.saturating_sub(1))),
            2 => "(2 ^ 3 ^ 0.5 - 7 % 4)".to_owned(),
            _ => self.0.pick(&["0", "1", "2.5", "-3", "100", "1e3", "0x1f"]).to_owned(),
        }
    }

    fn operand(&mut self, depth: usize) -> String {
        format!("({})", self.vector(depth))
    }

    fn arithmetic(&mut self) -> String {
        self.0.pick(&ARITHMETIC).to_owned()
    }

    fn comparison(&mut self) -> String {
        let bool = if self.0.one_in(2) { " bool" } else { "" };
        format!("{}{bool}", self.0.pick(&COMPARISONS))
    }
}
