//! Content encodings undone, within a limit: to read what a rule must change, or what an error says.

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room that the decoder gets at a time.
const STEP_BYTES: usize = 64 * 1024;
/// Decoding never waits, so it lets others run after as much as this.
const BYTES_PER_TURN: usize = 512 * 1024;

/// Why a text was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// An encoding that we do not know, or broken data.
    Unreadable,
    TooLarge,
    /// The caller has no memory for it at the moment.
    NoRoom,
}

/// `has_room` is asked before the text grows to so many bytes, which are never much more than `bytes_max`.
pub(super) async fn decode(
    bytes: &[u8],
    encoding: &HeaderValue,
    bytes_max: u64,
    has_room: &mut (dyn FnMut(u64) -> bool + Send),
) -> Result<Vec<u8>, Undecoded> {
    match decode_start(bytes, encoding, bytes_max, has_room).await {
        (decoded, None) => Ok(decoded),
        (_, Some(reason)) => Err(reason),
    }
}

/// As much as can be decoded of what may be the start of a text, for people to read, and whether that is all of it.
pub(super) async fn decode_for_reading(
    bytes: &[u8],
    encoding: &HeaderValue,
    bytes_max: u64,
) -> Option<(Vec<u8>, bool)> {
    let (mut decoded, missing) = decode_start(bytes, encoding, bytes_max, &mut |_| true).await;
    decoded.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    (!decoded.is_empty()).then_some((decoded, missing.is_none()))
}

/// What was decoded, and why not all of it was.
async fn decode_start(
    bytes: &[u8],
    encoding: &HeaderValue,
    bytes_max: u64,
    has_room: &mut (dyn FnMut(u64) -> bool + Send),
) -> (Vec<u8>, Option<Undecoded>) {
    let encoding = encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match encoding.as_str() {
        "identity" | "" => (bytes.to_vec(), None),
        "gzip" | "x-gzip" => read(GzipDecoder::new(bytes), bytes_max, has_room).await,
        "br" => read(BrotliDecoder::new(bytes), bytes_max, has_room).await,
        "zstd" => read(ZstdDecoder::new(bytes), bytes_max, has_room).await,
        // RFC 9110 means zlib; some servers send the bare stream.
        "deflate" if is_zlib(bytes) => read(ZlibDecoder::new(bytes), bytes_max, has_room).await,
        "deflate" => read(DeflateDecoder::new(bytes), bytes_max, has_room).await,
        _ => (Vec::new(), Some(Undecoded::Unreadable)),
    }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

async fn read(
    mut decoder: impl AsyncRead + Unpin,
    bytes_max: u64,
    has_room: &mut (dyn FnMut(u64) -> bool + Send),
) -> (Vec<u8>, Option<Undecoded>) {
    let mut decoded = Vec::new();
    let mut turn_ends_at = BYTES_PER_TURN;
    loop {
        decoded.reserve(STEP_BYTES);
        if !has_room(decoded.capacity() as u64) {
            return (decoded, Some(Undecoded::NoRoom));
        }
        match decoder.read_buf(&mut decoded).await {
            Ok(0) => return (decoded, None),
            Ok(_) if decoded.len() as u64 > bytes_max => return (decoded, Some(Undecoded::TooLarge)),
            Ok(_) => {}
            Err(_) => return (decoded, Some(Undecoded::Unreadable)),
        }
        if decoded.len() >= turn_ends_at {
            turn_ends_at = decoded.len() + BYTES_PER_TURN;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::GzipEncoder;

    use super::*;

    const GZIP: HeaderValue = HeaderValue::from_static("gzip");

    async fn zipped(text: &[u8]) -> Vec<u8> {
        let mut zipped = Vec::new();
        GzipEncoder::new(text).read_to_end(&mut zipped).await.unwrap();
        zipped
    }

    #[tokio::test]
    async fn what_is_encoded_is_decoded_within_its_limit() {
        let text = vec![b'a'; 1_000_000];
        let zipped = zipped(&text).await;
        assert_eq!(decode(&zipped, &GZIP, 1_000_000, &mut |_| true).await.unwrap(), text);
        let cut = &zipped[..zipped.len() - 9];
        assert_eq!(decode(cut, &GZIP, 1_000_000, &mut |_| true).await, Err(Undecoded::Unreadable));
        let unknown = HeaderValue::from_static("gzip, br");
        assert_eq!(decode(&zipped, &unknown, 1_000_000, &mut |_| true).await, Err(Undecoded::Unreadable));
        assert_eq!(decode_for_reading(cut, &GZIP, 1_000).await.unwrap().0.len(), 1_000);
    }

    #[tokio::test]
    async fn a_bomb_goes_off_at_the_limit_and_every_byte_is_asked_for() {
        let zipped = zipped(&vec![0; 64 << 20]).await;
        let mut asked_for = 0;
        let mut has_room = |bytes| {
            asked_for = bytes;
            true
        };
        assert_eq!(decode(&zipped, &GZIP, 1 << 20, &mut has_room).await, Err(Undecoded::TooLarge));
        assert!((1 << 20..4 << 20).contains(&asked_for), "{asked_for}");
        let mut has_room = |bytes| bytes <= 300_000;
        assert_eq!(decode(&zipped, &GZIP, 1 << 20, &mut has_room).await, Err(Undecoded::NoRoom));
    }
}
