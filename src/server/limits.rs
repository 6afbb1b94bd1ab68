//! The bounds that keep one peer from costing the others their service.

use std::fs;
use std::time::Duration;

/// Files that connections leave to the listeners, the log, the certificates and to what comes and
/// goes, such as a look-up of a name.
const OWN_FILES: usize = 96;

/// Fewest connections that are worth a server.
const LEAST_CONNECTIONS: usize = 16;

/// Deadlines and sizes of connections and requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, from the first byte; also for the first byte of a connection, and
    /// for the first request of an HTTP/2 connection.
    pub request_head: Duration,
    /// For the body of a request, in total.
    pub request_body: Duration,
    /// For a peer that takes nothing of its response, or hardly anything.
    pub response_stall: Duration,
    /// For a connection without a request.
    pub idle: Duration,
    /// For a connection that has said it is going: what is under way may still arrive.
    pub farewell: Duration,
    /// For all requests in flight, from the closing of the listener on.
    pub drain: Duration,
    /// Bytes of a request's head, at least 8,192.
    pub head_bytes: u16,
    /// Header lines of a request. HTTP/1.1 allows 100 whatever is set here.
    pub header_lines: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// Connections at one time. For one more, the oldest that never made a request is cut, or else one
    /// that waits for its next or for its body; if all wait for an answer, it waits in the system's
    /// queue.
    pub connections: usize,
    /// Requests of all connections whose bodies have not come whole. One more is told to come again.
    pub unread_bodies: usize,
    /// Those of them that are waited for. For one more, the one that has waited longest is told that it
    /// was too slow.
    pub awaited_bodies: usize,
    /// Requests at one time on an HTTP/2 connection.
    pub streams: u32,
    /// Bytes of a request's body that an HTTP/2 peer may send before they are read; at least 65,535 on
    /// all streams of a connection together (RFC 9113 §6.9.2).
    pub stream_window: u32,
    /// Bytes that an HTTP/2 peer may send without a request going on: frames are cheap to send, and
    /// some have to be answered. More than the windows, so that a body nobody reads yet is no flood.
    pub idle_bytes: usize,
    /// How many more requests an HTTP/2 peer may give up than it lets us answer.
    pub given_up: usize,
    /// Between two pings of an HTTP/2 connection.
    pub ping_interval: Duration,
    /// For the answer to a ping.
    pub ping_answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            request_head: Duration::from_secs(10),
            request_body: Duration::from_secs(10),
            response_stall: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            farewell: Duration::from_millis(500),
            // Longer than the 5 s that any request may take of us. With 2 s of notice before it and the
            // stop of the actors behind it, a process ends within 10 s.
            drain: Duration::from_secs(7),
            head_bytes: 16 * 1024,
            header_lines: 100,
            target_bytes: 8 * 1024,
            connections: 10_000,
            unread_bodies: 4_096,
            awaited_bodies: 2_048,
            streams: 128,
            stream_window: 16 * 1024,
            idle_bytes: 128 * 1024,
            given_up: 256,
            ping_interval: Duration::from_secs(20),
            ping_answer: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The defaults, with fewer connections where this process may open few files, of which others
    /// in it may need so many.
    pub fn of_this_process(reserved: usize) -> Self {
        let table = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        open_files(&table).map_or_else(Self::default, |files| Self::within(files, reserved))
    }

    /// As [`Limits::of_this_process`], of a process that may open so many files.
    pub fn within(files: usize, reserved: usize) -> Self {
        let defaults = Self::default();
        Self {
            connections: connections_of(files, reserved).min(defaults.connections),
            ..defaults
        }
    }

    /// The defaults, for a second listener that a few programs ask; its connections are among the
    /// reserved files.
    pub fn of_a_side_door() -> Self {
        Self {
            connections: LEAST_CONNECTIONS,
            ..Self::default()
        }
    }
}

/// How many of these files are left to connections.
fn connections_of(files: usize, reserved: usize) -> usize {
    let free = files.saturating_sub(OWN_FILES.saturating_add(reserved));
    free.max(LEAST_CONNECTIONS)
}

/// Reads the soft limit of open files from the table in `/proc/self/limits`; `None` is no limit.
fn open_files(table: &str) -> Option<usize> {
    let row = table
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_the_first_figure() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max processes             96000                96000                processes\n\
                     Max open files            1024                 1048576              files\n";
        assert_eq!(open_files(table), Some(1024));
        assert_eq!(
            open_files("Max open files   unlimited   unlimited   files"),
            None
        );
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn this_process_gets_between_the_least_and_the_default() {
        let connections = Limits::of_this_process(0).connections;
        assert!((LEAST_CONNECTIONS..=10_000).contains(&connections));
    }

    #[test]
    fn what_others_need_is_left_to_them() {
        assert_eq!(connections_of(1_024, 0), 1_024 - OWN_FILES);
        assert_eq!(connections_of(1_024, 400), 624 - OWN_FILES);
        for too_many in [1_000, usize::MAX] {
            assert_eq!(connections_of(1_024, too_many), LEAST_CONNECTIONS);
        }
    }
}
