use super::*;

const XFF: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// Peer, header lines; whose network it is.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
);

const SENDERS: [Row; 20] = [
    ("203.0.113.9", &[], Some("203.0.113.9")),
    ("203.0.113.9", &[(XFF, "192.0.2.1")], Some("203.0.113.9")),
    ("10.0.0.1", &[(XFF, "192.0.2.1")], Some("192.0.2.1")),
    (
        "10.0.0.1",
        &[(XFF, "198.51.100.7, 192.0.2.1")],
        Some("192.0.2.1"),
    ),
    (
        "10.0.0.1",
        &[(XFF, "192.0.2.1, 10.0.0.2")],
        Some("192.0.2.1"),
    ),
    ("10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")], Some("10.0.0.3")),
    ("10.0.0.1", &[(XFF, "192.0.2.1, forged")], Some("10.0.0.1")),
    ("10.0.0.1", &[(XFF, "2001:db8::1")], Some("2001:db8::1")),
    ("10.0.0.1", &[(XFF, "192.0.2.1:4711")], Some("192.0.2.1")),
    (
        "10.0.0.1",
        &[(XFF, "192.0.2.1, ::ffff:10.0.0.2")],
        Some("192.0.2.1"),
    ),
    (
        "10.0.0.1",
        &[(XFF, "198.51.100.7"), (XFF, "192.0.2.1, 10.0.0.2")],
        Some("192.0.2.1"),
    ),
    (
        "10.0.0.1",
        &[(FORWARDED, "for=192.0.2.1;proto=https")],
        Some("192.0.2.1"),
    ),
    (
        "10.0.0.1",
        &[(FORWARDED, "proto=https; For=\"[2001:db8::1]:47\"")],
        Some("2001:db8::1"),
    ),
    ("10.0.0.1", &[(FORWARDED, "for=unknown")], Some("10.0.0.1")),
    ("10.0.0.1", &[(FORWARDED, "for=_hidden")], Some("10.0.0.1")),
    (
        "10.0.0.1",
        &[(FORWARDED, "for=198.51.100.7"), (XFF, "192.0.2.1")],
        Some("10.0.0.1"),
    ),
    ("", &[(XFF, "192.0.2.1")], Some("192.0.2.1")),
    ("", &[], None),
    // Behind a Unix socket a header that says nothing is no way out of every count.
    ("", &[(FORWARDED, "for=x"), (XFF, "192.0.2.1")], Some("::")),
    ("", &[(XFF, "unknown")], Some("::")),
];

#[test]
fn the_network_is_that_of_the_first_address_that_is_no_trusted_proxy() {
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    for (peer, lines, expected) in SENDERS {
        let connection = Connection {
            peer: peer.parse().ok(),
            is_tls: true,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let expected = expected.map(|text| Network::of(text.parse().unwrap()));
        let network = connection.network(&headers, &proxies);
        assert_eq!(network, expected, "{peer} {lines:?}");
    }
}

#[test]
fn plain_http_is_secure_only_behind_a_trusted_proxy_that_ended_tls() {
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    let from = |peer: &str| Connection {
        peer: peer.parse().ok(),
        is_tls: false,
    };
    let mut headers = HeaderMap::new();
    assert!(from("10.1.2.3").is_secure(&headers, &proxies));
    assert!(!from("192.0.2.1").is_secure(&headers, &proxies));
    headers.insert("x-forwarded-proto", "http".parse().unwrap());
    assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
    headers.insert("x-forwarded-proto", "https".parse().unwrap());
    assert!(!from("192.0.2.1").is_secure(&headers, &proxies));
    headers.append("x-forwarded-proto", "https, http".parse().unwrap());
    assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
    headers.insert("forwarded", "for=192.0.2.1;proto=https".parse().unwrap());
    assert!(from("10.1.2.3").is_secure(&headers, &proxies));
    headers.insert(
        "forwarded",
        "proto=https, for=1;proto=\"http\"".parse().unwrap(),
    );
    assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
    assert!(
        Connection {
            peer: None,
            is_tls: true
        }
        .is_secure(&headers, &[])
    );
}
