//! What the reader looks at, as it stands in the address: every choice can be sent to a colleague.

use sidelight_api::graph::GraphType;

/// Longest find text that is kept in the address.
pub const FIND_CHARS_MAX: usize = 200;
/// Windows that the header offers, seconds.
pub const WINDOWS_S: [u64; 7] = [60, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600];
/// Refresh intervals that the header offers, seconds.
pub const REFRESHES_S: [u64; 4] = [2, 5, 15, 30];
const WINDOW_DEFAULT_S: u64 = 60;
const REFRESH_DEFAULT_S: u64 = 5;

/// The one number on an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EdgeLabel {
    #[default]
    Rate,
    P95,
    Errors,
    Share,
}

impl EdgeLabel {
    pub const ALL: [Self; 4] = [Self::Rate, Self::P95, Self::Errors, Self::Share];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P95 => "p95",
            Self::Errors => "errors",
            Self::Share => "share",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Down,
    Right,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Right => "right",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Node(String),
    Edge(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Empty: all.
    pub namespaces: Vec<String>,
    pub graph_type: GraphType,
    pub window_s: u64,
    /// End of the window, Unix seconds; `None` follows the clock.
    pub query_time: Option<i64>,
    pub refresh_s: u64,
    pub paused: bool,
    pub find: String,
    pub label: EdgeLabel,
    pub namespace_boxes: bool,
    pub app_boxes: bool,
    pub idle: bool,
    pub services: bool,
    pub animation: bool,
    pub locks: bool,
    /// `None`: whichever fits the window.
    pub direction: Option<Direction>,
    pub selection: Option<Selection>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            graph_type: GraphType::VersionedApp,
            window_s: WINDOW_DEFAULT_S,
            query_time: None,
            refresh_s: REFRESH_DEFAULT_S,
            paused: false,
            find: String::new(),
            label: EdgeLabel::Rate,
            namespace_boxes: true,
            app_boxes: true,
            idle: false,
            services: false,
            animation: true,
            locks: true,
            direction: None,
            selection: None,
        }
    }
}

impl View {
    /// Reads a query through `get`; what cannot be read falls back to its default.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let default = Self::default();
        let flag = |key: &str, value: bool| get(key).map_or(value, |word| word == "1");
        let number = |key: &str| get(key).and_then(|word| word.parse::<u64>().ok());
        let words = get("namespaces").unwrap_or_default();
        Self {
            namespaces: words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            graph_type: get("graphType").and_then(|word| GraphType::parse(&word)).unwrap_or(default.graph_type),
            window_s: number("duration").filter(|s| (10..=7 * 24 * 3600).contains(s)).unwrap_or(default.window_s),
            query_time: get("queryTime").and_then(|word| word.parse().ok()),
            refresh_s: number("refresh").filter(|s| (1..=900).contains(s)).unwrap_or(default.refresh_s),
            paused: flag("paused", default.paused),
            find: get("find").unwrap_or_default().chars().take(FIND_CHARS_MAX).collect(),
            label: one_of(get("label"), &EdgeLabel::ALL, EdgeLabel::as_str).unwrap_or_default(),
            namespace_boxes: flag("namespaceBoxes", default.namespace_boxes),
            app_boxes: flag("appBoxes", default.app_boxes),
            idle: flag("idle", default.idle),
            services: flag("services", default.services),
            animation: flag("animation", default.animation),
            locks: flag("locks", default.locks),
            direction: one_of(get("layout"), &[Direction::Down, Direction::Right], Direction::as_str),
            selection: get("node").map(Selection::Node).or_else(|| get("edge").map(Selection::Edge)),
        }
    }

    /// The query that [`View::read`] reads back, without what is at its default; empty, or beginning with `?`.
    pub fn query(&self) -> String {
        let mut query = self.shared();
        let default = Self::default();
        if self.graph_type != default.graph_type {
            query.put("graphType", self.graph_type.as_str());
        }
        if !self.find.is_empty() {
            query.put("find", &self.find);
        }
        if self.label != default.label {
            query.put("label", self.label.as_str());
        }
        query.flag("namespaceBoxes", self.namespace_boxes, default.namespace_boxes);
        query.flag("appBoxes", self.app_boxes, default.app_boxes);
        query.flag("idle", self.idle, default.idle);
        query.flag("services", self.services, default.services);
        query.flag("animation", self.animation, default.animation);
        query.flag("locks", self.locks, default.locks);
        if let Some(direction) = self.direction {
            query.put("layout", direction.as_str());
        }
        match &self.selection {
            Some(Selection::Node(id)) => query.put("node", id),
            Some(Selection::Edge(id)) => query.put("edge", id),
            None => {}
        }
        query.finish()
    }

    /// The part that follows the reader from page to page: where and when.
    pub fn shared_query(&self) -> String {
        self.shared().finish()
    }

    fn shared(&self) -> Query {
        let default = Self::default();
        let mut query = Query::default();
        if !self.namespaces.is_empty() {
            query.put("namespaces", &self.namespaces.join(","));
        }
        if self.window_s != default.window_s {
            query.put("duration", &self.window_s.to_string());
        }
        if let Some(time) = self.query_time {
            query.put("queryTime", &time.to_string());
        }
        if self.refresh_s != default.refresh_s {
            query.put("refresh", &self.refresh_s.to_string());
        }
        query.flag("paused", self.paused, default.paused);
        query
    }

    /// Whether the page follows the clock.
    pub fn live(&self) -> bool {
        !self.paused && self.query_time.is_none()
    }

    /// Adds or removes one namespace; choosing all of `known` is the same as choosing none.
    pub fn toggle_namespace(&mut self, name: &str, known: &[String]) {
        if self.namespaces.is_empty() {
            self.namespaces = known.to_vec();
        }
        match self.namespaces.iter().position(|n| n == name) {
            Some(at) => drop(self.namespaces.remove(at)),
            None => self.namespaces.push(name.to_owned()),
        }
        self.namespaces.sort();
        if known.iter().all(|n| self.namespaces.contains(n)) {
            self.namespaces.clear();
        }
    }
}

/// A query string under construction.
#[derive(Default)]
pub struct Query(String);

impl Query {
    pub fn put(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(key);
        self.0.push('=');
        percent_encode(value, &mut self.0);
    }

    fn flag(&mut self, key: &str, value: bool, default: bool) {
        if value != default {
            self.put(key, if value { "1" } else { "0" });
        }
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Keeps what a query may hold as it is, commas and colons included, so that addresses stay readable.
pub fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' | b':' | b'/' | b'!' | b'*' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn one_of<T: Copy>(word: Option<String>, all: &[T], name: impl Fn(T) -> &'static str) -> Option<T> {
    let word = word?;
    all.iter().copied().find(|item| name(*item) == word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(query: &str) -> View {
        let pairs: Vec<(String, String)> = query
            .trim_start_matches('?')
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.to_owned(), percent_decode(v)))
            .collect();
        View::read(|key| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()))
    }

    fn percent_decode(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let hex: String = [rest.next().unwrap(), rest.next().unwrap()].map(char::from).iter().collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn default_view_has_an_empty_query() {
        assert_eq!(View::default().query(), "");
        assert_eq!(read(""), View::default());
    }

    #[test]
    fn query_reads_back_to_the_same_view() {
        let view = View {
            namespaces: vec!["bookinfo".into(), "istio-system".into()],
            graph_type: GraphType::Service,
            window_s: 1800,
            query_time: Some(1_790_000_000),
            refresh_s: 15,
            paused: true,
            find: "err>1% ns:book&x".into(),
            label: EdgeLabel::P95,
            namespace_boxes: false,
            app_boxes: false,
            idle: true,
            services: true,
            animation: false,
            locks: false,
            direction: Some(Direction::Right),
            selection: Some(Selection::Edge("a~b".into())),
        };
        assert_eq!(
            view.query(),
            "?namespaces=bookinfo,istio-system&duration=1800&queryTime=1790000000&refresh=15&paused=1&graphType=service\
             &find=err%3E1%25%20ns:book%26x&label=p95&namespaceBoxes=0&appBoxes=0&idle=1&services=1&animation=0&locks=0\
             &layout=right&edge=a~b"
        );
        assert_eq!(read(&view.query()), view);
    }

    #[test]
    fn other_pages_keep_where_and_when() {
        let view = View { namespaces: vec!["shop".into()], find: "err".into(), ..View::default() };
        assert_eq!(view.shared_query(), "?namespaces=shop");
    }

    #[test]
    fn nonsense_falls_back() {
        assert_eq!(read("?duration=abc&refresh=0&graphType=pie&layout=up"), View::default());
    }

    #[test]
    fn toggling_goes_through_all() {
        let known = ["a".to_owned(), "b".to_owned()];
        let mut view = View::default();
        view.toggle_namespace("a", &known);
        assert_eq!(view.namespaces, ["b"]);
        view.toggle_namespace("a", &known);
        assert_eq!(view.namespaces, Vec::<String>::new());
    }
}
