use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode, Version};

use super::{is_host, refusal, refuse};
use crate::server::limits::Limits;

fn request(method: &str, target: &str, version: Version, hosts: &[&str]) -> Request<()> {
    let mut builder = Request::builder()
        .method(method)
        .uri(target)
        .version(version);
    for host in hosts {
        builder = builder.header(HOST, *host);
    }
    builder.body(()).unwrap()
}

#[test]
fn methods_are_answered_as_rfc_9110_says() {
    let rows = [
        ("GET", None),
        ("HEAD", None),
        ("POST", None),
        ("PUT", None),
        ("PATCH", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("TRACE", None),
        ("CONNECT", Some(StatusCode::METHOD_NOT_ALLOWED)),
        ("BREW", Some(StatusCode::NOT_IMPLEMENTED)),
        ("get", Some(StatusCode::NOT_IMPLEMENTED)),
    ];
    for (method, answer) in rows {
        let request = request(method, "/", Version::HTTP_11, &["a"]);
        assert_eq!(refusal(&request, &Limits::default()), answer, "{method}");
    }
}

#[test]
fn hosts_are_judged_as_rfc_9112_and_9113_say() {
    let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
    let rows: &[(&str, &str, Version, &[&str], bool)] = &[
        ("none in 1.0", "/", v10, &[], true),
        ("none in 1.1", "/", v11, &[], false),
        ("none beside a whole URL", "http://a/", v11, &[], false),
        ("one", "/", v11, &["localhost:5000"], true),
        ("two equal ones", "/", v11, &["a", "a"], false),
        ("two in 1.0", "/", v10, &["a", "b"], false),
        ("authority alone in 2", "https://a/", v2, &[], true),
        ("host alone in 2", "/", v2, &["a"], true),
        ("neither in 2", "/", v2, &[], false),
        ("both in 2", "https://a:1/", v2, &["A:1"], true),
        ("two minds in 2", "https://a/", v2, &["b"], false),
        ("user information in 2", "https://me@a/", v2, &[], false),
    ];
    for (name, target, version, hosts, is_good) in rows {
        let request = request("GET", target, *version, hosts);
        let is_refused = refusal(&request, &Limits::default()).is_some();
        assert_eq!(!is_refused, *is_good, "{name}");
    }
}

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    for good in [
        "a",
        "a.example:1",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:80",
        "a:",
    ] {
        assert!(is_host(good.as_bytes()), "{good}");
    }
    for bad in [
        "", ":80", "a b", "a/b", "a@b", "a:b", "a:1:2", "a:123456", "[::1", "[::1]a", "[a]", "a?b",
        "a#", "\u{e9}",
    ] {
        assert!(!is_host(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn targets_and_header_lines_have_bounds() {
    let limits = Limits::default();
    let longest = format!("/{}", "a".repeat(limits.target_bytes - 1));
    let fits = request("GET", &longest, Version::HTTP_11, &["a"]);
    assert_eq!(refusal(&fits, &limits), None);
    let longer = request("GET", &format!("{longest}a"), Version::HTTP_11, &["a"]);
    assert_eq!(refusal(&longer, &limits), Some(StatusCode::URI_TOO_LONG));

    let mut many = request("GET", "/", Version::HTTP_2, &["a"]);
    for _ in 0..limits.header_lines {
        many.headers_mut()
            .append("x-line", HeaderValue::from_static("1"));
    }
    let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    assert_eq!(refusal(&many, &limits), Some(too_large));
}

#[test]
fn only_http_1_is_told_that_the_connection_closes() {
    let closes = |version| {
        refuse(StatusCode::BAD_REQUEST, version)
            .headers()
            .contains_key(CONNECTION)
    };
    assert!(closes(Version::HTTP_11));
    assert!(!closes(Version::HTTP_2));
}
