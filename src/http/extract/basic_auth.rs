//! The `Authorization: Basic` header (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;
use zeroize::Zeroizing;

/// What the `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
pub enum BasicAuth {
    /// There is none.
    Absent,
    /// User name and password, not decoded any further.
    Present(String, Zeroizing<String>),
    /// It is another scheme, sent twice, or cannot be read.
    Malformed,
}

impl BasicAuth {
    /// Reads the header.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => parse(value.as_bytes()).unwrap_or(Self::Malformed),
            (Some(_), Some(_)) => Self::Malformed,
        }
    }
}

fn parse(value: &[u8]) -> Option<BasicAuth> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(BasicAuth::Present(
        name.to_owned(),
        Zeroizing::new(password.to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_header_is_basic_only_by_its_scheme(
            scheme in "(?i)basic |[ -~]{0,8}",
            rest in "[A-Za-z0-9+/=]{0,60}|[\\t -~\\x{80}-\\x{10ffff}]{0,60}",
        ) {
            let is_present = matches!(read(&format!("{scheme}{rest}")), BasicAuth::Present(..));
            prop_assert!(!is_present || scheme.to_ascii_lowercase().starts_with("basic "));
        }

        #[test]
        fn any_name_and_password_come_back_as_they_were_sent(name in "[^:]{0,40}", password: String) {
            let sent = STANDARD.encode(format!("{name}:{password}"));
            let expected = BasicAuth::Present(name, Zeroizing::new(password));
            prop_assert_eq!(read(&format!("Basic {sent}")), expected);
        }
    }

    fn read(value: &str) -> BasicAuth {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        BasicAuth::read(&headers)
    }

    #[test]
    fn name_and_password_are_split_at_the_first_colon() {
        let read = read("basic am9uYXM6cGE6c3M=");
        assert_eq!(
            read,
            BasicAuth::Present("jonas".into(), Zeroizing::new("pa:ss".into()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for bad in [
            "Basic",
            "Basic !!",
            "Basic am9uYXM=",
            "Bearer x",
            "Basic am9uYXM6cA== x",
            "Basic /zo6",
        ] {
            assert_eq!(read(bad), BasicAuth::Malformed, "{bad}");
        }
        assert_eq!(BasicAuth::read(&HeaderMap::new()), BasicAuth::Absent);
    }
}
