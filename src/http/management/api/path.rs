//! The path below `/management/api/v1/`, in segments.

use percent_encoding::percent_decode_str;

use super::super::refusal::Refusal;
use crate::domain::client::ClientId;
use crate::domain::token::RecordId;

/// Most segments of a path that leads anywhere.
const MOST_SEGMENTS: usize = 4;

/// Splits a path and decodes its segments, since the client identifier of a database that was taken
/// over may be any text. A path that cannot be read leads nowhere.
pub(super) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let decode = |segment: &str| {
        let text = percent_decode_str(segment).decode_utf8();
        text.map(std::borrow::Cow::into_owned)
            .map_err(|_no_text| Refusal::not_found())
    };
    path.split('/')
        .take(MOST_SEGMENTS + 1)
        .map(decode)
        .collect()
}

/// The identifier of a user or a secret.
pub(super) fn record_id(segment: &str) -> Result<RecordId, Refusal> {
    RecordId::parse(segment).ok_or_else(Refusal::not_found)
}

/// The identifier of a client.
pub(super) fn client_id(segment: &str) -> ClientId {
    ClientId::new(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_may_be_any_text() {
        let decoded = |path| segments(path).unwrap();
        assert_eq!(decoded("clients/a%2Fb+%C3%A4"), ["clients", "a/b+ä"]);
        assert_eq!(decoded("users/"), ["users", ""]);
        assert_eq!(decoded("a/b/c/d/e/f").len(), MOST_SEGMENTS + 1);
        assert!(segments("clients/%FF").is_err());
    }
}
