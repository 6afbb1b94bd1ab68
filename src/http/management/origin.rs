//! Whether a state change was asked for by a page of another site. Browsers resend Basic
//! credentials with requests that any site makes them send.

use url::Url;
use warp::http::HeaderMap;
use warp::http::header::ORIGIN;

use super::Request;
use super::guard::{Host, HostName};
use super::refusal::Refusal;

/// Refuses what a browser says another origin made it send. Programs that are no browsers send
/// neither header.
///
/// # Errors
/// 403.
pub(super) fn check(request: &Request) -> Result<(), Refusal> {
    if is_fetched_elsewhere(&request.headers) || is_foreign(&request.headers, &request.host) {
        return Err(Refusal::foreign_origin());
    }
    Ok(())
}

// `none` is a person who typed the address or opened a bookmark.
fn is_fetched_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}

fn is_foreign(headers: &HeaderMap, host: &Host) -> bool {
    let is_ours = |origin: &[u8]| match (read(origin), host) {
        (Some(origin), Host::Named(host)) => origin == *host,
        _ => false,
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    !origins.all(|origin| is_ours(origin.as_bytes()))
}

// `null`, and what has no host, is nobody's.
fn read(origin: &[u8]) -> Option<HostName> {
    let url = Url::parse(std::str::from_utf8(origin).ok()?).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let name = url.host_str().filter(|_| is_web)?;
    Some(HostName::new(name, url.port_or_known_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_by_host_and_port() {
        let is_foreign = |origin: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            let host: warp::host::Authority = host.parse().unwrap();
            is_foreign(&headers, &Host::Named(host.into()))
        };
        for (origin, host) in [
            ("https://a.example", "A.example"),
            ("https://a.example:443", "a.example"),
            ("https://a.example", "a.example:443"),
            ("https://a.example:5000", "a.example:5000"),
            ("https://[::1]:5000", "[::1]:5000"),
        ] {
            assert!(!is_foreign(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://b.example", "a.example"),
            ("https://a.example.org", "a.example"),
            ("https://a.example:5001", "a.example:5000"),
            ("http://a.example", "a.example"),
            ("null", "a.example"),
            ("", "a.example"),
            ("a.example", "a.example"),
            ("data:text/html,a.example", "a.example"),
        ] {
            assert!(is_foreign(origin, host), "{origin} {host}");
        }
    }
}
