use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::Drained;
use crate::server::limits::Limits;
use crate::server::testing::{
    PATIENCE, SHORT, ad_hoc, client_config, handshake, patient, read_to_end, read_until, start,
};

/// A request head with `Host`, kept alive.
fn head(line: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_service_sees_its_peer() {
    let server = start(patient(), None).await;
    let mut stream = server.connect().await;
    let own_address = stream.local_addr().unwrap();
    stream.write_all(&head("GET /peer")).await.unwrap();
    let answer = read_until(&mut stream, "}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&own_address.to_string()), "{answer}");
    assert!(answer.contains("is_tls: false"), "{answer}");
}

#[tokio::test]
async fn what_http_forbids_is_refused_before_the_service() {
    let server = start(patient(), None).await;
    let long_target = format!("GET /{}", "a".repeat(9_000));
    let large_head = format!(
        "GET /peer HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(17_000)
    );
    let lines = format!(
        "GET /peer HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: 1\r\n".repeat(101)
    );
    let rows: &[(&str, &[u8], &str)] = &[
        ("no Host", b"GET /peer HTTP/1.1\r\n\r\n", "400"),
        (
            "two Hosts",
            b"GET /peer HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "400",
        ),
        (
            "a bad Host",
            b"GET /peer HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "400",
        ),
        (
            "CONNECT",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            "405",
        ),
        ("an unknown method", &head("BREW /peer"), "501"),
        ("a long target", &head(&long_target), "414"),
        ("a large head", large_head.as_bytes(), "431"),
        ("too many header lines", lines.as_bytes(), "431"),
        ("HTTP/0.9", b"GET /peer\r\n\r\n", "400"),
        (
            "two lengths",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "400",
        ),
        (
            "a signed length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
            "400",
        ),
    ];
    for (name, request, status) in rows {
        let answer = server.exchange(request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn silent_and_slow_peers_are_closed_within_their_deadlines() {
    let short = patient();
    let slow_head = Limits {
        request_head: SHORT,
        ..short
    };
    let slow_body = Limits {
        request_body: SHORT,
        ..short
    };
    let idle = Limits {
        idle: SHORT,
        ..short
    };
    let rows: &[(&str, Limits, &str)] = &[
        ("no byte", slow_head, ""),
        ("half a head", slow_head, "GET /peer HTTP/1.1\r\nHo"),
        (
            "half a body",
            slow_body,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        ),
        (
            "an endless chunked body",
            slow_body,
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        ),
        (
            "no second request",
            idle,
            "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "half of a second request, sent with the first",
            idle,
            "GET /peer HTTP/1.1\r\nHost: a\r\n\r\nGET /peer HTTP/1.1\r\nHo",
        ),
    ];
    for (name, limits, request) in rows {
        let server = start(*limits, None).await;
        let begin = Instant::now();
        server.exchange(request.as_bytes()).await;
        assert!(begin.elapsed() >= SHORT, "{name}: closed too early");
        assert!(begin.elapsed() < PATIENCE / 2, "{name}: closed too late");
    }
}

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_a_head() {
    let limits = Limits {
        request_head: SHORT,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut stream = server.connect().await;
    stream.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut stream, "}").await;
    // The wait is the subject: twice as long as a head may take.
    tokio::time::sleep(SHORT * 2).await;
    stream.write_all(&head("GET /peer")).await.unwrap();
    assert!(
        read_until(&mut stream, "}")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_request_of_our_own_slowness_is_not_cut() {
    let moment = SHORT / 5;
    let limits = Limits {
        request_head: moment,
        request_body: moment,
        response_stall: moment,
        idle: moment,
        ..patient()
    };
    let server = start(limits, None).await;
    let answer = server.exchange(&head("GET /slow")).await;
    assert!(answer.ends_with("slow but whole"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_of_its_response_is_cut() {
    let limits = Limits {
        response_stall: SHORT,
        connections: 1,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut stream = server.connect().await;
    stream.write_all(&head("GET /large")).await.unwrap();
    read_until(&mut stream, "xxx").await;
    // There is room for one connection: the second is served when the first has been cut.
    let mut second = server.connect().await;
    second.write_all(&head("GET /peer")).await.unwrap();
    assert!(read_until(&mut second, "}").await.contains("Peer"));
    drop(stream);
}

#[tokio::test]
async fn an_early_answer_reaches_a_peer_that_is_still_sending() {
    let server = start(patient(), None).await;
    let body = "a".repeat(4 * 1024 * 1024);
    let request = format!(
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = server.exchange(request.as_bytes()).await;
    assert!(answer.ends_with("too much"), "{answer}");
}

#[tokio::test]
async fn requests_in_flight_are_answered_when_the_server_stops() {
    let mut server = start(patient(), None).await;
    let mut busy = server.connect().await;
    busy.write_all(&head("GET /slow")).await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut idle, "}").await;
    server.tell_to_stop();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("slow but whole"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(read_to_end(&mut idle).await, "");
    let address = server.address;
    assert_eq!(server.ended().await, Drained::Whole);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_next_request_of_a_kept_connection_is_still_answered_after_the_stop() {
    let limits = Limits {
        farewell: PATIENCE,
        ..patient()
    };
    let mut server = start(limits, None).await;
    let mut stream = server.connect().await;
    stream.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut stream, "}").await;
    server.tell_to_stop();
    let address = server.address;
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&head("GET /peer")).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.ended().await, Drained::Whole);
}

#[tokio::test]
async fn with_notice_new_connections_are_served_and_told_to_come_anew() {
    let mut server = start(patient(), None).await;
    let mut kept = server.connect().await;
    kept.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut kept, "}").await;
    server.tell_to_stop_in(2 * SHORT);
    kept.write_all(&head("GET /slow")).await.unwrap();
    // It is at its end before the listener closes.
    let answer = read_to_end(&mut kept).await;
    assert!(answer.contains("connection: close"), "{answer}");
    let address = server.address;
    let mut anew = tokio::net::TcpStream::connect(address).await.unwrap();
    anew.write_all(&head("GET /peer")).await.unwrap();
    let answer = read_to_end(&mut anew).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.ended().await, Drained::Whole);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_drain_ends_at_its_limit() {
    let limits = Limits {
        drain: SHORT,
        ..patient()
    };
    let mut server = start(limits, None).await;
    let mut stream = server.connect().await;
    stream.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut stream, "}").await;
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let mut second = server.connect().await;
    second.write_all(&head("GET /peer")).await.unwrap();
    read_until(&mut second, "}").await;
    drop(second);
    server.tell_to_stop();
    assert_eq!(server.ended().await, Drained::Cut(1));
}

#[tokio::test]
async fn a_panic_ends_one_connection_alone() {
    let server = start(patient(), None).await;
    assert_eq!(server.exchange(&head("GET /panic")).await, "");
    let mut stream = server.connect().await;
    stream.write_all(&head("GET /peer")).await.unwrap();
    assert!(
        read_until(&mut stream, "}")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn at_the_cap_who_waits_for_an_answer_is_left_alone_and_others_wait() {
    let limits = Limits {
        connections: 1,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut first = server.connect().await;
    first.write_all(&head("GET /slow")).await.unwrap();
    tokio::time::sleep(SHORT / 3).await;
    let mut second = server.connect().await;
    second.write_all(&head("GET /peer")).await.unwrap();
    let answers = tokio::select! {
        biased;
        first = read_until(&mut first, "whole") => first,
        _ = read_until(&mut second, "}") => panic!("served beyond the cap"),
    };
    assert!(answers.contains("slow but whole"), "{answers}");
    drop(first);
    assert!(read_until(&mut second, "}").await.contains("Peer"));
}

/// A request whose body is to follow when the server has begun to wait for it.
const BEGUN: &[u8] =
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";

#[tokio::test]
async fn at_the_cap_who_lets_us_wait_for_a_body_makes_room() {
    let limits = Limits {
        connections: 1,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut first = server.connect().await;
    first.write_all(BEGUN).await.unwrap();
    read_until(&mut first, "100 Continue\r\n\r\n").await;
    let mut second = server.connect().await;
    second.write_all(&head("GET /peer")).await.unwrap();
    assert!(read_until(&mut second, "}").await.contains("Peer"));
    assert_eq!(read_to_end(&mut first).await, "");
}

#[tokio::test]
async fn where_too_many_bodies_have_not_come_whole_one_more_is_told_to_come_again() {
    let limits = Limits {
        unread_bodies: 1,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut first = server.connect().await;
    first.write_all(BEGUN).await.unwrap();
    read_until(&mut first, "100 Continue\r\n\r\n").await;
    let refused = server.exchange(BEGUN).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    let mut other = server.connect().await;
    other.write_all(&head("GET /peer")).await.unwrap();
    assert!(read_until(&mut other, "}").await.contains("Peer"));
    first.write_all(b"ab").await.unwrap();
    assert!(read_until(&mut first, "2 bytes").await.contains("200"));
    first.write_all(BEGUN).await.unwrap();
    read_until(&mut first, "100 Continue\r\n\r\n").await;
}

#[tokio::test]
async fn where_too_many_bodies_are_waited_for_the_longest_wait_ends() {
    let limits = Limits {
        awaited_bodies: 2,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(BEGUN).await.unwrap();
        read_until(&mut stream, "100 Continue\r\n\r\n").await;
        waiting.push(stream);
    }
    let refused = read_to_end(&mut waiting.remove(0)).await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    for mut stream in waiting {
        stream.write_all(b"ab").await.unwrap();
        assert!(read_until(&mut stream, "2 bytes").await.contains("200"));
    }
}

#[tokio::test]
async fn at_the_cap_peers_between_requests_make_room_for_another() {
    let limits = Limits {
        connections: 2,
        ..patient()
    };
    let server = start(limits, None).await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        let mut stream = server.connect().await;
        stream.write_all(&head("GET /peer")).await.unwrap();
        assert!(read_until(&mut stream, "}").await.contains("Peer"));
        kept.push(stream);
    }
}

#[tokio::test]
async fn at_the_cap_a_silent_peer_makes_room_for_another() {
    let (folder, loaded) = ad_hoc();
    let limits = Limits {
        connections: 2,
        ..patient()
    };
    for tls in [None, Some(loaded)] {
        let is_tls = tls.is_some();
        let server = start(limits, tls).await;
        let silent = [server.connect().await, server.connect().await];
        let mut stream = server.connect().await;
        if is_tls {
            let config = client_config(&folder.path().join("adhoc-cert.pem"), &[]);
            assert!(handshake(stream, config).await.is_ok());
        } else {
            stream.write_all(&head("GET /peer")).await.unwrap();
            assert!(read_until(&mut stream, "}").await.contains("Peer"));
        }
        drop(silent);
    }
}

#[tokio::test]
async fn on_the_tls_port_silence_and_plain_http_are_closed() {
    let (_folder, loaded) = ad_hoc();
    let limits = Limits {
        handshake: SHORT,
        ..patient()
    };
    let server = start(limits, Some(loaded)).await;
    assert_eq!(server.exchange(b"").await, "");
    assert_eq!(server.exchange(b"\x16\x03\x01").await, "");
    let answer = server.exchange(&head("GET /peer")).await;
    assert!(!answer.contains("HTTP"), "{answer}");
}

#[tokio::test]
async fn silent_peers_on_the_tls_port_do_not_hold_up_the_stop() {
    let (_folder, loaded) = ad_hoc();
    let mut server = start(patient(), Some(loaded)).await;
    let _silent = server.connect().await;
    server.tell_to_stop();
    assert_eq!(server.ended().await, Drained::Whole);
}

#[tokio::test]
async fn tls_on_the_plain_port_is_refused_at_once() {
    let (folder, _loaded) = ad_hoc();
    let server = start(patient(), None).await;
    let config = client_config(&folder.path().join("adhoc-cert.pem"), &[]);
    assert!(handshake(server.connect().await, config).await.is_err());
}
