//! What a connection makes of bytes that come in pieces, as lines of text: for the properties in `fuzzing`.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};

use super::{
    body::{Decoded, Decoder, Framing},
    client,
    head::{HeadSearch, parse_request, parse_response, write_headers},
    server,
};

/// Small, so that it is reached.
const HEAD_BYTES_MAX: usize = 256;

type ReadHead = fn(&Bytes) -> Result<(String, Framing), String>;

/// What clients say.
pub(crate) fn of_requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    transcript(pieces, |head| {
        let (parts, spelling) = parse_request(head).map_err(|error| error.to_string())?;
        let framing = server::framing(&parts).map_err(|refusal| refusal.reason)?;
        let mut headers = Vec::new();
        write_headers(&mut headers, &parts.headers, Some(&spelling));
        let first = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
        Ok((format!("{first}\n{}{framing:?}", headers.escape_ascii()), framing))
    })
}

/// What an upstream says when it is asked again and again with GET.
pub(crate) fn of_answers<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    transcript(pieces, |head| {
        let parts = parse_response(head).map_err(|error| error.to_string())?;
        let framing = client::framing(&Method::GET, &parts)?;
        Ok((format!("{} {:?} {:?}\n{framing:?}", parts.status, parts.version, parts.headers), framing))
    })
}

/// Message after message, until one is refused or the bytes end.
fn transcript<'a>(pieces: impl Iterator<Item = &'a [u8]>, read_head: ReadHead) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = BytesMut::new();
    let mut search = HeadSearch::default();
    let (mut body, mut data) = (None, Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let refused = match &mut body {
                None => match search.take(&mut buffer, HEAD_BYTES_MAX) {
                    Ok(None) => break,
                    Ok(Some(head)) => match read_head(&head) {
                        Ok((line, framing)) => {
                            lines.push(line);
                            body = Some(Decoder::new(framing));
                            continue;
                        }
                        Err(reason) => reason,
                    },
                    Err(error) => error.to_string(),
                },
                Some(decoder) => match decoder.decode(&mut buffer) {
                    Ok(Decoded::Nothing) => break,
                    Ok(Decoded::Data(bytes)) => {
                        data.extend_from_slice(&bytes);
                        decoder.look_ahead(&mut buffer);
                        continue;
                    }
                    Ok(ended) => {
                        let trailers =
                            if let Decoded::Trailers(trailers) = ended { trailers } else { HeaderMap::new() };
                        lines.push(format!("{} {trailers:?}", data.escape_ascii()));
                        data.clear();
                        body = None;
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
            };
            lines.push(format!("{} refused: {refused}", data.escape_ascii()));
            return lines;
        }
    }
    lines.push(format!("{} {body:?} and {}", data.escape_ascii(), buffer.escape_ascii()));
    lines
}
