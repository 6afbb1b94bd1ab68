//! The `Authorization: Bearer` header (RFC 6750 §2.1). A token in the query or the body is not
//! read (RFC 9700 §4.3.2).

use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;

use crate::domain::token::TokenValue;
use crate::http::error::bearer::BearerError;

/// Reads the token.
///
/// # Errors
/// [`BearerError::Missing`] without a header or with another scheme; `InvalidRequest` when the
/// header is malformed or was sent twice; `InvalidToken` when it cannot be a token of ours.
pub fn read(headers: &HeaderMap) -> Result<TokenValue, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::InvalidRequest);
    }
    let (scheme, rest) = split_scheme(value.as_bytes());
    // "case-insensitive token" (RFC 9110 §11.1)
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(BearerError::Missing);
    }
    let token = rest.trim_ascii();
    if token.is_empty() || !token.iter().all(|byte| is_b64token(*byte)) {
        return Err(BearerError::InvalidRequest);
    }
    let token = std::str::from_utf8(token).ok().and_then(TokenValue::parse);
    token.ok_or(BearerError::InvalidToken)
}

fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    value.split_at(end)
}

// b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" (RFC 6750 §2.1)
fn is_b64token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_header_is_a_token_or_has_its_error(
            scheme in "(?i)bearer|[!-~]{0,8}",
            rest in "[A-Za-z0-9]{28,32}|[A-Za-z0-9=._~+/-]{0,40}|[\\t -~\\x{80}-\\x{10ffff}]{0,60}",
        ) {
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            let token = rest.trim_matches([' ', '\t']);
            let is_well_formed = !token.is_empty() && token.bytes().all(is_b64token);
            let expected = match TokenValue::parse(token) {
                _ if !is_bearer => Err(BearerError::Missing),
                _ if !is_well_formed => Err(BearerError::InvalidRequest),
                Some(token) => Ok(token),
                None => Err(BearerError::InvalidToken),
            };
            prop_assert_eq!(read_one(&format!("{scheme} {rest}")), expected);
        }
    }

    const TOKEN: &str = "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W";

    fn read_one(value: &str) -> Result<TokenValue, BearerError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        read(&headers)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert!(read_one(&format!("{scheme} {TOKEN}")).is_ok());
        }
    }

    #[test]
    fn each_fault_has_its_error() {
        let rows = [
            ("Basic am9uYXM6cGFzcw==", BearerError::Missing),
            ("Foobar", BearerError::Missing),
            ("Bearer", BearerError::InvalidRequest),
            ("Bearer ", BearerError::InvalidRequest),
            ("Bearer a b", BearerError::InvalidRequest),
            ("Bearer a,b", BearerError::InvalidRequest),
            ("Bearer short", BearerError::InvalidToken),
        ];
        for (value, error) in rows {
            assert_eq!(read_one(value), Err(error), "{value}");
        }
        assert_eq!(read(&HeaderMap::new()), Err(BearerError::Missing));
    }

    #[test]
    fn two_headers_are_an_invalid_request() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap());
        headers.append(AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap());
        assert_eq!(read(&headers), Err(BearerError::InvalidRequest));
    }
}
