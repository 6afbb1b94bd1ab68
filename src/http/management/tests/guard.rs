//! Who gets in, to the console and to its API alike (reliability rows C1, C2, C11, C16, C17).

use super::*;

#[tokio::test]
async fn every_failed_login_gets_the_same_401() {
    let app = start().await;
    for path in [PATH, &format!("{API}/users")] {
        let mut answers = Vec::new();
        for credentials in [
            None,
            Some(basic("admin:wrong")),
            Some(basic("other:console password")),
            Some(basic("admin")),
            Some("Basic !".to_owned()),
            Some("Bearer abc".to_owned()),
        ] {
            let mut request = bare("GET", path);
            if let Some(credentials) = credentials {
                request = request.header("authorization", credentials);
            }
            let answer = app.send(request).await;
            assert_eq!(answer.status(), 401);
            let challenge = "Basic realm=\"sentinel console\", charset=\"UTF-8\"";
            assert_eq!(header(&answer, "www-authenticate"), challenge);
            answers.push(format!("{:?} {}", answer.headers(), text(&answer)));
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn without_configured_credentials_nobody_gets_in() {
    let options = Options {
        has_credentials: false,
        ..Options::default()
    };
    let app = start_with(options).await;
    for path in [PATH, &format!("{API}/users")] {
        for request in [
            request("GET", path),
            bare("GET", path),
            request("POST", path),
        ] {
            let answer = app.send(request).await;
            assert_eq!(answer.status(), 403);
            assert!(text(&answer).contains("SENTINEL_MANAGEMENT_USERNAME"));
            assert!(text(&answer).contains("SENTINEL_MANAGEMENT_PASSWORD"));
        }
    }
}

#[tokio::test]
async fn plain_http_is_refused_without_a_redirect() {
    let app = start().await;
    let from = |peer: &str| {
        let connection = Connection {
            peer: peer.parse().ok(),
            is_tls: false,
        };
        request("GET", PATH).extension(connection)
    };
    let unknown = warp::test::request()
        .path(PATH)
        .header("host", "localhost:5000")
        .header("authorization", basic(&format!("{USER}:{PASSWORD}")));
    app.check(vec![
        ("a stranger", from("192.0.2.1"), 403),
        (
            "a stranger who claims TLS",
            from("192.0.2.1").header("x-forwarded-proto", "https"),
            403,
        ),
        (
            "a proxy that says http",
            from("10.0.0.1").header("x-forwarded-proto", "http"),
            403,
        ),
        ("a connection nobody vouches for", unknown, 403),
        (
            "a trusted proxy",
            from("10.0.0.1").header("x-forwarded-proto", "https"),
            200,
        ),
    ])
    .await;
    let answer = app.send(from("192.0.2.1")).await;
    assert_eq!(header(&answer, "location"), "");
}

#[tokio::test]
async fn a_foreign_host_is_misdirected() {
    let hosts = vec!["localhost:5000".to_owned(), "Console.Example".to_owned()];
    let app = start_with(Options {
        hosts,
        ..Options::default()
    })
    .await;
    let host = |host: &str| request("GET", PATH).header("host", host);
    // In HTTP/2 the host is in the request's target.
    let target = |target: &str| {
        warp::test::request()
            .path(&format!("https://{target}{PATH}"))
            .header("authorization", basic(&format!("{USER}:{PASSWORD}")))
            .extension(TLS)
    };
    app.check(vec![
        ("ours", host("localhost:5000"), 200),
        ("ours in capitals", host("LOCALHOST:5000"), 200),
        ("ours without port", host("console.example"), 200),
        (
            "ours with the default port",
            host("console.example:443"),
            200,
        ),
        ("ours in the target", target("console.example"), 200),
        ("another port", host("localhost:5001"), 421),
        ("another name", host("evil.example"), 421),
        ("another in the target", target("evil.example"), 421),
        (
            "another on the API",
            request("GET", &format!("{API}/users")).header("host", "x"),
            421,
        ),
        ("no name", host("a b"), 400),
    ])
    .await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_after_the_login() {
    let app = start().await;
    let api = |path: &str| format!("{API}/{path}");
    app.check(vec![
        (
            "below the console",
            request("GET", "/oauth/management/users/xyz"),
            404,
        ),
        ("dots", request("GET", "/oauth/management/../token"), 404),
        (
            "encoded",
            request("GET", "/oauth/management/%61pi/v1/users"),
            404,
        ),
        (
            "twice a slash",
            request("GET", "/oauth/management//api/v1/users"),
            404,
        ),
        ("no version", request("GET", "/oauth/management/api"), 404),
        (
            "another version",
            request("GET", "/oauth/management/api/v2/users"),
            404,
        ),
        (
            "a user",
            request("GET", &api("users/6b049213eb1acd78e9075d3c")),
            404,
        ),
        ("before the login", bare("GET", &api("nothing")), 401),
        ("put", request("PUT", PATH), 405),
        ("options", request("OPTIONS", PATH), 405),
        ("delete users", request("DELETE", &api("users")), 405),
        (
            "get a revocation",
            request("GET", &api("tokens/revoke")),
            405,
        ),
        ("post actors", request("POST", &api("actors")), 405),
        ("head", request("HEAD", PATH), 200),
    ])
    .await;
    assert_eq!(
        header(&app.send(request("PUT", PATH)).await, "allow"),
        "GET, HEAD, POST"
    );
    let answer = app.send(request("PUT", &api("tokens/revoke"))).await;
    assert_eq!(header(&answer, "allow"), "POST");
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
}

#[tokio::test]
async fn every_page_of_the_console_forbids_frames_and_caches() {
    let app = start().await;
    for request in [
        request("GET", PATH),
        bare("GET", PATH),
        request("PUT", PATH),
    ] {
        let answer = app.send(request).await;
        assert_eq!(header(&answer, "x-frame-options"), "DENY");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    }
}
