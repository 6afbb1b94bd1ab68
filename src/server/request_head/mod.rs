//! What HTTP itself says of a request's head, before any service sees it.
//!
//! What does not live here: what hyper refuses while it parses (bad syntax, a head too long).

use std::net::Ipv6Addr;

use hyper::header::{ALLOW, CONNECTION, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::limits::Limits;

#[cfg(test)]
mod tests;

/// The methods that services are asked about (RFC 9110 §9, RFC 5789).
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";

/// The status that refuses a request, or `None` if a service may see it.
pub(super) fn refusal<B>(request: &Request<B>, limits: &Limits) -> Option<StatusCode> {
    match *request.method() {
        Method::GET
        | Method::POST
        | Method::HEAD
        | Method::OPTIONS
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::TRACE => {}
        Method::CONNECT => return Some(StatusCode::METHOD_NOT_ALLOWED),
        // RFC 9110 §9.1: "a request method that is unrecognized or not implemented" is 501.
        _ => return Some(StatusCode::NOT_IMPLEMENTED),
    }
    if request.headers().len() > limits.header_lines {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > limits.target_bytes) {
        return Some(StatusCode::URI_TOO_LONG);
    }
    (!has_one_good_host(request)).then_some(StatusCode::BAD_REQUEST)
}

/// The whole response of a refusal.
pub(super) fn refuse(status: StatusCode, version: Version) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 §15.5.6: the server "MUST generate an Allow header field" with a 405.
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    // Who cannot make a head may have lost count of where requests begin; what follows is not
    // worth a guess. HTTP/2 has frames and no such header (RFC 9113 §8.2.2).
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// RFC 9112 §3.2: 400 to "any HTTP/1.1 request message that lacks a Host header field and to any
/// request message that contains more than one Host header field line or a Host header field with
/// an invalid field value".
fn has_one_good_host<B>(request: &Request<B>) -> bool {
    let authority = request.uri().authority().map(|it| it.as_str().as_bytes());
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next().map(HeaderValue::as_bytes), authority) {
        (Some(host), Some(authority)) if request.version() == Version::HTTP_2 => {
            // RFC 9113 §8.3.1: a Host that differs from `:authority` makes a request malformed.
            hosts.next().is_none() && is_host(host) && host.eq_ignore_ascii_case(authority)
        }
        (Some(host), _) => hosts.next().is_none() && is_host(host),
        (None, Some(authority)) => request.version() != Version::HTTP_11 && is_host(authority),
        (None, None) => request.version() < Version::HTTP_11,
    }
}

/// Whether it is `uri-host [ ":" port ]` (RFC 9110 §7.2). Percent-encoding is refused: no DNS name
/// needs it.
fn is_host(value: &[u8]) -> bool {
    let is_ipv6 = value.first() == Some(&b'[');
    let end = if is_ipv6 {
        value.iter().position(|byte| *byte == b']').map(|at| at + 1)
    } else {
        value.iter().position(|byte| *byte == b':')
    };
    let (host, port) = value.split_at(end.unwrap_or(value.len()));
    is_port(port)
        && if is_ipv6 {
            is_ipv6_literal(host)
        } else {
            is_reg_name(host)
        }
}

fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_ipv6_literal(host: &[u8]) -> bool {
    let [b'[', address @ .., b']'] = host else {
        return false;
    };
    std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

fn is_reg_name(host: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte);
    !host.is_empty() && host.iter().all(is_allowed)
}
