//! Reads a request body under a limit.

use std::error::Error;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use warp::http::HeaderMap;
use warp::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::http::error::OAuthError;

/// The longest body of ours, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1_024;

/// Reads the whole body. A declared length over the limit is refused before anything is read.
///
/// # Errors
/// 413 over 16 KiB, 415 for a content encoding, 408 when the server's body deadline passed, 400 when
/// the body is not framed as HTTP demands or the client stopped sending.
pub async fn read<S, B>(headers: &HeaderMap, body: S) -> Result<Bytes, OAuthError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Err(OAuthError::encoded_body());
    }
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(OAuthError::too_large());
    }
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| why_unread(&error))?;
        if read.len() + chunk.remaining() > MAX_BODY_BYTES {
            return Err(OAuthError::too_large());
        }
        append(&mut read, chunk);
    }
    Ok(read.freeze())
}

fn why_unread(error: &warp::Error) -> OAuthError {
    let mut source = error.source();
    while let Some(error) = source {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return OAuthError::too_slow();
        }
        source = error.source();
    }
    OAuthError::invalid_request("the request body is malformed or ends too soon")
}

fn append(read: &mut BytesMut, mut chunk: impl Buf) {
    while chunk.has_remaining() {
        let part = chunk.chunk();
        read.extend_from_slice(part);
        let length = part.len();
        chunk.advance(length);
    }
}
