//! Form bodies (RFC 6749 appendix B): each parameter at most once, an empty value as if absent.

use std::fmt;

use percent_encoding::percent_decode;
use warp::http::HeaderMap;
use warp::http::header::CONTENT_TYPE;
use zeroize::Zeroizing;

use crate::http::error::OAuthError;

#[cfg(test)]
mod tests;

/// Most parameters of a form.
const MAX_PARAMETERS: usize = 32;
/// The longest parameter name, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The parameters of a form body. Values are zeroed when dropped: one may be a password.
#[derive(Default)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

// Values are secrets: only names are shown.
impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, _)| (name, "***"));
        formatter.debug_map().entries(shown).finish()
    }
}

impl Form {
    /// Parses a body whose media type `headers` tell.
    ///
    /// # Errors
    /// 400 `invalid_request` for another media type or charset, an empty body, a repeated
    /// parameter, too many of them, a bad percent code, or text that is not UTF-8.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        if !is_form(headers) {
            let wanted = "the body must be application/x-www-form-urlencoded in UTF-8";
            return Err(OAuthError::invalid_request(wanted));
        }
        if body.is_empty() {
            return Err(OAuthError::invalid_request("the request body is empty"));
        }
        Self::parse_pairs(body)
    }

    /// Parses `name=value` pairs, of a body or a query.
    ///
    /// # Errors
    /// As [`Form::parse`].
    pub fn parse_pairs(text: &[u8]) -> Result<Self, OAuthError> {
        let mut form = Self::default();
        for (index, pair) in text.split(|byte| *byte == b'&').enumerate() {
            if index >= MAX_PARAMETERS {
                return Err(OAuthError::invalid_request("too many parameters"));
            }
            if !pair.is_empty() {
                form.add(pair)?;
            }
        }
        form.0.retain(|(_, value)| !value.is_empty());
        Ok(form)
    }

    fn add(&mut self, pair: &[u8]) -> Result<(), OAuthError> {
        let split = pair
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(pair.len());
        let (name, value) = pair.split_at(split);
        if name.len() > MAX_NAME_BYTES {
            return Err(OAuthError::invalid_request("a parameter name is too long"));
        }
        let name = decode(name)?;
        // "parameters MUST NOT be included more than once" (RFC 6749 §3.2)
        if self.0.iter().any(|(own, _)| *own == name) {
            return Err(OAuthError::invalid_request("a parameter is repeated"));
        }
        let value = decode(value.get(1..).unwrap_or_default())?;
        self.0.push((name, Zeroizing::new(value)));
        Ok(())
    }

    /// The value of a parameter; `None` when it was not sent or was empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// 400 `invalid_request` with `missing` as description.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::invalid_request(missing))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (types.next().map(|value| value.to_str()), types.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_form = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    is_form
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.eq_ignore_ascii_case("charset=utf-8")
                || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

/// Decodes one name or value of `application/x-www-form-urlencoded`.
///
/// # Errors
/// 400 `invalid_request` for a `%` without two hex digits, or text that is not UTF-8.
pub fn decode(encoded: &[u8]) -> Result<String, OAuthError> {
    let malformed = || OAuthError::invalid_request("a parameter is not well encoded");
    let mut spaced = Zeroizing::new(encoded.to_vec());
    let is_code = |at: usize| {
        let digits = encoded.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    for (index, byte) in spaced.iter_mut().enumerate() {
        match byte {
            b'+' => *byte = b' ',
            b'%' if !is_code(index) => return Err(malformed()),
            _ => {}
        }
    }
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(decoded).map_err(|_not_text| malformed())
}
