//! Serves the dashboard's files, which are part of the program, compressed as they were at build time.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

use super::error;

/// What `build.rs` has put there: the built dashboard, or one page that says how to build it.
#[derive(Embed)]
#[folder = "$OUT_DIR/dashboard"]
struct Dashboard;

/// One file.
struct File {
    data: Cow<'static, [u8]>,
    sha256: [u8; 32],
}

/// Finds a file by its name.
type Files = fn(&str) -> Option<File>;

const INDEX: &str = "index.html";
/// Hex digits at the end of a file's stem from which it counts as the hash of its content.
const HASH_DIGITS_MIN: usize = 8;
/// For names that carry a hash: what they hold never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For all others: ask every time, and get "not modified" mostly.
const ASK_FIRST: &str = "no-cache";

/// Compressed siblings, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The file of the path; the dashboard itself for paths without an extension, which are its pages.
pub async fn serve(request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if method != Method::GET && method != Method::HEAD {
        return error::method_not_allowed(method, uri).await.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let name = if path.is_empty() || !has_extension(path) { INDEX } else { path };
    answer(embedded, name, request.headers()).unwrap_or_else(|| error::no_such_route(&uri).into_response())
}

fn embedded(name: &str) -> Option<File> {
    let file = Dashboard::get(name)?;
    Some(File { sha256: file.metadata.sha256_hash(), data: file.data })
}

fn answer(files: Files, name: &str, headers: &HeaderMap) -> Option<Response> {
    // The compressed siblings are not files of their own.
    if ENCODINGS.iter().any(|(_, suffix)| name.ends_with(suffix)) {
        return None;
    }
    let plain = files(name)?;
    // Weak, because the same tag stands for every encoding of the file.
    let etag = format!("W/\"{}\"", short_hash(&plain));
    let cache = if is_hashed(name) { FOR_EVER } else { ASK_FIRST };
    let common = [
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::ETAG, HeaderValue::from_str(&etag).ok()?),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| names_tag(known, &etag)) {
        return Some((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)))];
    let compressed = ENCODINGS
        .iter()
        .filter(|(encoding, _)| accepts(headers, encoding))
        .find_map(|(encoding, suffix)| Some((*encoding, files(&format!("{name}{suffix}"))?)));
    Some(match compressed {
        Some((encoding, file)) => {
            (common, kind, [(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))], bytes(file)).into_response()
        }
        None => (common, kind, bytes(plain)).into_response(),
    })
}

/// No copy: the bytes lie in the program.
fn bytes(file: File) -> bytes::Bytes {
    match file.data {
        Cow::Borrowed(data) => bytes::Bytes::from_static(data),
        Cow::Owned(data) => bytes::Bytes::from(data),
    }
}

fn short_hash(file: &File) -> String {
    file.sha256[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `If-None-Match` lists tags; the weak mark that proxies add does not matter.
fn names_tag(known: &HeaderValue, etag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag.trim_start_matches("W/"))
}

/// `name` or `*` in `Accept-Encoding`, unless with a weight of zero.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let words = lines.flat_map(|line| line.split(','));
    let weighed = words.map(|word| {
        let mut parts = word.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
        (name, weight)
    });
    let weights: Vec<(String, f32)> = weighed.collect();
    let weight_of = |wanted: &str| weights.iter().find(|(name, _)| name == wanted).map(|(_, weight)| *weight);
    weight_of(encoding).or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

fn has_extension(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.contains('.'))
}

/// `app-0123456789ab.js`
fn is_hashed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.split('.').next().unwrap_or(file);
    let tail = stem.rsplit('-').next().filter(|tail| tail.len() < stem.len()).unwrap_or_default();
    tail.len() >= HASH_DIGITS_MIN && tail.bytes().all(|b| b.is_ascii_hexdigit())
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{File, accepts, answer, has_extension, is_hashed, names_tag};
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        for (name, hashed) in [
            ("assets/ui-0123456789ab.js", true),
            ("assets/ui_bg-0123456789ab.wasm", true),
            ("index.html", false),
            ("favicon.svg", false),
            ("assets/font-regular.woff2", false),
            ("deadbeefdeadbeef.js", false),
        ] {
            assert_eq!(is_hashed(name), hashed, "{name}");
        }
    }

    #[test]
    fn pages_have_no_extension() {
        assert!(!has_extension("graph") && !has_extension("istio.io/config") && has_extension("assets/a.js"));
    }

    #[test]
    fn encodings_are_taken_as_the_client_weighs_them() {
        for (line, br, gzip) in [
            ("gzip, deflate, br", true, true),
            ("gzip", false, true),
            ("br;q=0, gzip;q=0.5", false, true),
            ("*", true, true),
            ("*;q=0", false, false),
            ("identity", false, false),
            ("BR", true, false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap())]);
            assert_eq!((accepts(&headers, "br"), accepts(&headers, "gzip")), (br, gzip), "{line}");
        }
        assert!(!accepts(&HeaderMap::new(), "br"));
    }

    #[test]
    fn tags_match_alone_weak_and_in_lists() {
        let known = |text: &'static str| HeaderValue::from_static(text);
        assert!(names_tag(&known("\"a\""), "\"a\"") && names_tag(&known("\"b\", W/\"a\""), "\"a\""));
        assert!(names_tag(&known("*"), "\"a\"") && !names_tag(&known("\"b\""), "\"a\""));
    }

    /// A script in three encodings, and a picture in one.
    fn built(name: &str) -> Option<File> {
        let data: &[u8] = match name {
            "assets/ui-0123456789ab.js" => b"plain",
            "assets/ui-0123456789ab.js.br" => b"as brotli",
            "assets/ui-0123456789ab.js.gz" => b"as gzip",
            "logo.svg" => b"<svg/>",
            _ => return None,
        };
        Some(File { data: data.into(), sha256: [7; 32] })
    }

    #[tokio::test]
    async fn compressed_siblings_are_sent_to_who_can_read_them() {
        for (line, encoding, body) in [
            ("gzip, br", "br", "as brotli"),
            ("gzip", "gzip", "as gzip"),
            ("br;q=0, gzip", "gzip", "as gzip"),
            ("identity", "", "plain"),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(line))]);
            let response = answer(built, "assets/ui-0123456789ab.js", &headers).unwrap();
            let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            assert_eq!(header(header::CONTENT_ENCODING), encoding, "{line}");
            assert_eq!(header(header::CONTENT_TYPE), "text/javascript; charset=utf-8");
            assert_eq!(header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
            assert_eq!(header(header::VARY), "accept-encoding");
            assert_eq!(header(header::ETAG), "W/\"07070707070707070707070707070707\"");
            let sent = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
            assert_eq!(sent, body, "{line}");
        }
    }

    #[test]
    fn names_without_a_hash_are_asked_for_every_time() {
        let response = answer(built, "logo.svg", &HeaderMap::new()).unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "image/svg+xml");
    }

    #[test]
    fn siblings_are_not_files_of_their_own() {
        assert!(answer(built, "assets/ui-0123456789ab.js.br", &HeaderMap::new()).is_none());
    }
}
