//! Content encodings undone, within a limit: to read what a rule must change, or what an error says.

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What an encoded text may grow to; more is a bomb and not a request.
const DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `None`: an encoding that we do not know, broken data, or too much of it.
pub(super) async fn decode(bytes: &[u8], encoding: &HeaderValue) -> Option<Vec<u8>> {
    let (decoded, is_whole) = decode_start(bytes, encoding, DECODED_BYTES_MAX).await?;
    is_whole.then_some(decoded)
}

/// As much as can be decoded of what may be the start of a text, for people to read, and whether that is all of it.
pub(super) async fn decode_for_reading(
    bytes: &[u8],
    encoding: &HeaderValue,
    bytes_max: u64,
) -> Option<(Vec<u8>, bool)> {
    decode_start(bytes, encoding, bytes_max).await.filter(|(decoded, _)| !decoded.is_empty())
}

async fn decode_start(bytes: &[u8], encoding: &HeaderValue, bytes_max: u64) -> Option<(Vec<u8>, bool)> {
    let encoding = encoding.to_str().ok()?.trim().to_ascii_lowercase();
    match encoding.as_str() {
        "identity" | "" => Some((bytes.to_vec(), true)),
        "gzip" | "x-gzip" => Some(read(GzipDecoder::new(bytes), bytes_max).await),
        "br" => Some(read(BrotliDecoder::new(bytes), bytes_max).await),
        "zstd" => Some(read(ZstdDecoder::new(bytes), bytes_max).await),
        // RFC 9110 means zlib; some servers send the bare stream.
        "deflate" if is_zlib(bytes) => Some(read(ZlibDecoder::new(bytes), bytes_max).await),
        "deflate" => Some(read(DeflateDecoder::new(bytes), bytes_max).await),
        _ => None,
    }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

async fn read(decoder: impl AsyncRead + Unpin, bytes_max: u64) -> (Vec<u8>, bool) {
    let mut decoded = Vec::new();
    let result = decoder.take(bytes_max + 1).read_to_end(&mut decoded).await;
    let is_whole = result.is_ok() && decoded.len() as u64 <= bytes_max;
    (decoded, is_whole)
}
