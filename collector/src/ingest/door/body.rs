//! Reads a body to its end and takes its compression away, never past the limit: a bomb costs what the limit allows.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use super::{Held, Hold, Kind, Refusal};

/// A body must have arrived by then: it holds one of the few places of the door.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes that are decompressed where they arrive; more would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 128 * 1024;
/// Largest window of a zstd frame, as a power of two: what the frame asks for is allocated before a byte comes out.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A body as it is meant.
#[derive(Clone, Debug)]
pub struct Body {
    pub bytes: Bytes,
    /// Bytes as they were sent.
    pub sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    /// With zlib's frame, as HTTP and gRPC mean it; raw deflate is understood too.
    Deflate,
    Zstd,
    /// Snappy's block format, of Prometheus' remote write.
    Snappy,
}

impl Encoding {
    /// # Errors
    /// A name that is not known.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let name = value.to_str().unwrap_or("unreadable");
        Self::named(name).ok_or_else(|| {
            let message = format!("content-encoding `{name}` is not known; use gzip, deflate, zstd, snappy or none");
            Refusal::unsupported_encoding(message)
        })
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            _ => return None,
        })
    }
}

/// Reads the whole body in time, holding its bytes in the door's budget.
pub(super) async fn receive(body: axum::body::Body, limit: usize, held: &Held) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(BODY_TIME_MAX, collect(body, limit, held));
    collected.await.map_err(|_| Refusal::slow_body(BODY_TIME_MAX))?
}

/// Decompresses a body; what comes out is held in the budget instead of it.
pub(super) async fn unpack(
    encoding: Encoding,
    bytes: Bytes,
    limit: usize,
    hold: &Arc<Hold>,
    decoding: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    let sent = bytes.len();
    if encoding == Encoding::Identity {
        return decode_body(encoding, &bytes, limit);
    }
    let decoded = unpack_somewhere(encoding, bytes, limit, hold, decoding).await?;
    // The compressed bytes are gone.
    hold.held.shrink(sent);
    if hold.held.grow(decoded.len()) { Ok(decoded) } else { Err(too_much_at_once()) }
}

async fn unpack_somewhere(
    encoding: Encoding,
    bytes: Bytes,
    limit: usize,
    hold: &Arc<Hold>,
    decoding: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    let inline = limit.min(INLINE_BYTES_MAX);
    if bytes.len() <= inline {
        match decode_body(encoding, &bytes, inline) {
            Err(refusal) if refusal.kind == Kind::TooLarge && inline < limit => {}
            decoded => return decoded,
        }
    }
    // As many at a time as there are cores: each may fill its limit before the budget is asked.
    let turn = Arc::clone(decoding).acquire_owned().await;
    let turn = turn.map_err(|_| Refusal::unavailable("the collector is shutting down"))?;
    let decode = move || {
        let decoded = decode_body(encoding, &bytes, limit);
        drop(turn);
        decoded
    };
    super::elsewhere(hold, decode).await?
}

async fn collect(mut body: axum::body::Body, limit: usize, held: &Held) -> Result<Bytes, Refusal> {
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::broken_off(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(Refusal::body_too_large(limit));
        }
        if !held.grow(data.len()) {
            return Err(too_much_at_once());
        }
        // A body of one piece is not copied.
        match &first {
            None => first = Some(data),
            Some(start) => {
                if more.is_empty() {
                    more.extend_from_slice(start);
                }
                more.extend_from_slice(&data);
            }
        }
    }
    Ok(if more.is_empty() { first.unwrap_or_default() } else { more.freeze() })
}

fn too_much_at_once() -> Refusal {
    Refusal::busy("too many bytes are being read; try again")
}

/// Takes the compression of a whole body away.
///
/// # Errors
/// When more than `limit` bytes come out, or the bytes are not what they are said to be.
pub fn decode_body(encoding: Encoding, bytes: &Bytes, limit: usize) -> Result<Bytes, Refusal> {
    match encoding {
        Encoding::Identity if bytes.len() > limit => Err(Refusal::body_too_large(limit)),
        Encoding::Identity => Ok(bytes.clone()),
        Encoding::Gzip => drain(flate2::read::MultiGzDecoder::new(&**bytes), "gzip", bytes.len(), limit),
        Encoding::Deflate if is_zlib(bytes) => drain(flate2::read::ZlibDecoder::new(&**bytes), "deflate", bytes.len(), limit),
        Encoding::Deflate => drain(flate2::read::DeflateDecoder::new(&**bytes), "deflate", bytes.len(), limit),
        Encoding::Zstd => unzstd(bytes, limit),
        Encoding::Snappy => unsnap(bytes, limit),
    }
}

fn drain(reader: impl Read, name: &str, length: usize, limit: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity((length * 4).min(limit));
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| Refusal::undecodable(format!("the body is no {name}: {error}")))?;
    if out.len() > limit { Err(Refusal::body_too_large(limit)) } else { Ok(out.into()) }
}

fn unzstd(bytes: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let bad = |error| Refusal::undecodable(format!("the body is no zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(bad)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
    drain(decoder, "zstd", bytes.len(), limit)
}

/// The length stands in front, so nothing is allocated for a bomb.
fn unsnap(bytes: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let bad = |error| Refusal::undecodable(format!("the body is no snappy block: {error}"));
    if snap::raw::decompress_len(bytes).map_err(bad)? > limit {
        return Err(Refusal::body_too_large(limit));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map(Bytes::from).map_err(bad)
}

/// Whether the first two bytes are a header of zlib (RFC 1950, 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;

    use super::*;

    const TEXT: &[u8] = b"spans, spans, spans, spans and spans";

    fn packed(encoding: Encoding, bytes: &[u8]) -> Bytes {
        let level = Compression::best();
        let packed = match encoding {
            Encoding::Identity => bytes.to_vec(),
            Encoding::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(bytes, 3).unwrap(),
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        };
        packed.into()
    }

    const ALL: [Encoding; 5] = [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::Snappy];

    #[test]
    fn every_encoding_comes_back() {
        for encoding in ALL {
            assert_eq!(decode_body(encoding, &packed(encoding, TEXT), TEXT.len()).unwrap(), TEXT, "{encoding:?}");
        }
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        raw.write_all(TEXT).unwrap();
        assert_eq!(decode_body(Encoding::Deflate, &raw.finish().unwrap().into(), 100).unwrap(), TEXT);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 32 * 1024 * 1024];
        for encoding in ALL {
            let bomb = packed(encoding, &zeros);
            assert_eq!(decode_body(encoding, &bomb, 1000).unwrap_err().reason, "body_too_large", "{encoding:?}");
        }
    }

    #[test]
    fn a_frame_that_asks_for_much_memory_gets_none() {
        // A frame with a window of 2 GiB and one empty block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        let refusal = decode_body(Encoding::Zstd, &Bytes::copy_from_slice(&frame), 1000).unwrap_err();
        assert_eq!(refusal.reason, "undecodable", "{refusal}");
    }

    #[test]
    fn what_is_cut_or_garbled_is_refused() {
        for encoding in &ALL[1..] {
            let whole = packed(*encoding, TEXT);
            let cut = whole.slice(..whole.len() - 6);
            assert_eq!(decode_body(*encoding, &cut, 1000).unwrap_err().reason, "undecodable", "{encoding:?}");
            let garbage = Bytes::from_static(b"\xff\xfe\xfd garbage of the worst kind");
            assert!(decode_body(*encoding, &garbage, 1000).is_err(), "{encoding:?}");
        }
    }

    #[test]
    fn names_are_those_of_http() {
        assert_eq!((Encoding::named("GZIP"), Encoding::named("br")), (Some(Encoding::Gzip), None));
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, "br".parse().unwrap())]);
        assert_eq!(Encoding::of(&headers).unwrap_err().http_status().as_u16(), 415);
    }
}
