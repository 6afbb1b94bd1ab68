//! Why the management API did not do what was asked, in words for people.

use std::error::Error;
use std::io;

use reqwest::StatusCode;
use thiserror::Error as ThisError;
use url::Url;

use crate::cli::output::printable;
use crate::http::wire::problem::Problem;

/// The longest text of a server that is shown.
const LONGEST_DETAIL: usize = 300;

/// The request was refused, or did not arrive.
#[derive(Debug, ThisError)]
pub(in crate::cli) enum ApiError {
    /// The console has another user or password.
    #[error(
        "the server refused the console's user name or password; check \
         SENTINEL_MANAGEMENT_USERNAME and SENTINEL_MANAGEMENT_PASSWORD, or give --username and \
         --management-password-stdin"
    )]
    Credentials,
    /// The server says why it does not do it.
    #[error("the server refused: {0}", .detail)]
    Refused {
        /// Its words, and what to do.
        detail: String,
    },
    /// The server cannot do it now.
    #[error("the server cannot do it now: {0}; try again later", .detail)]
    Unavailable {
        /// Its words.
        detail: String,
    },
    /// Something else answers there.
    #[error("{url} does not answer as the management API does ({status}); check --url")]
    NotTheApi {
        /// What was asked.
        url: Url,
        /// What it answered.
        status: StatusCode,
    },
    /// Nobody answers there.
    #[error("{url} cannot be reached: {reason}; start the server, or name it with --url")]
    Unreachable {
        /// What was asked.
        url: Url,
        /// The system's words.
        reason: String,
    },
    /// The server's certificate does not prove who it is.
    #[error(
        "the certificate of {url} is not trusted: {reason}; name its issuer with --ca-cert FILE, \
         or the host in the certificate with --url"
    )]
    Untrusted {
        /// What was asked.
        url: Url,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// No request can be made, as when the system has no trusted certificates.
    #[error("no connection can be set up: {0}; name certificates to trust with --ca-cert FILE")]
    Client(String),
}

impl ApiError {
    /// What an answer other than success means.
    pub(super) fn of_answer(url: Url, status: StatusCode, body: &[u8]) -> Self {
        if status == StatusCode::UNAUTHORIZED {
            return Self::Credentials;
        }
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return Self::NotTheApi { url, status };
        };
        let detail: String = problem.detail.chars().take(LONGEST_DETAIL).collect();
        let detail = printable(detail.trim_end_matches('.'));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            Self::Unavailable { detail }
        } else {
            Self::Refused { detail }
        }
    }

    /// What a request means that brought no answer.
    pub(super) fn of_transport(url: Url, error: &reqwest::Error) -> Self {
        if error.is_builder() {
            return Self::Client(innermost(error));
        }
        match tls_error(error) {
            Some(error @ rustls::Error::InvalidCertificate(_)) => Self::Untrusted {
                url,
                reason: error.to_string(),
            },
            Some(rustls::Error::InvalidMessage(_)) => Self::Unreachable {
                url,
                reason: "it does not speak TLS, try http://".to_owned(),
            },
            _ if error.is_timeout() => Self::Unreachable {
                url,
                reason: "no answer in time".to_owned(),
            },
            _ => Self::Unreachable {
                url,
                reason: innermost(error),
            },
        }
    }
}

/// The cause of causes; the errors above it only say that a request failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The error and its causes. What an `io::Error` wraps it does not name as its source.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let outer = error.downcast_ref::<io::Error>();
        match outer.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> String {
        let url = Url::parse("https://h/oauth/management/api/v1/users").unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        ApiError::of_answer(url, status, body.as_bytes()).to_string()
    }

    fn problem(status: u16, detail: &str) -> String {
        serde_json::json!({"status": status, "title": "t", "detail": detail}).to_string()
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (status, body, expected) in [
            (401, String::new(), "--username"),
            (
                422,
                problem(422, "the password is too short"),
                "refused: the password is too short",
            ),
            (
                503,
                problem(503, "the store is away"),
                "the store is away; try again later",
            ),
            (
                404,
                "<html>".to_owned(),
                "as the management API does (404 Not Found)",
            ),
        ] {
            let text = answer(status, &body);
            assert!(text.contains(expected), "{status}: {text}");
        }
    }

    #[test]
    fn a_conflict_is_told_in_the_words_of_the_server() {
        for words in [
            "the name is taken",
            "it is the only secret: rotate it first",
        ] {
            let text = answer(409, &problem(409, &format!("{words}.")));
            assert_eq!(text, format!("the server refused: {words}"));
        }
    }

    #[test]
    fn an_error_inside_an_input_error_is_found() {
        let inner = rustls::Error::General("x".to_owned());
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert!(matches!(tls_error(&error), Some(rustls::Error::General(_))));
        assert_eq!(innermost(&error), "unexpected error: x");
    }

    #[test]
    fn a_server_cannot_steer_the_terminal_or_flood_it() {
        let text = answer(400, &problem(400, "a\n\u{1b}[2Jb"));
        assert!(text.ends_with("a\\n\\u{1b}[2Jb"), "{text}");
        assert!(answer(400, &problem(400, &"x".repeat(9_000))).len() < 400);
    }
}
