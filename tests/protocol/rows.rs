//! Tables of bad inputs: every row is asked, and every row that fails is named.

use std::fmt::Write;

use reqwest::RequestBuilder;

use crate::support::app::{Answer, answer};

/// What no answer may repeat; bad inputs hold it.
pub(crate) const CANARY: &str = "canary7f";

/// Requests with one right answer.
pub(crate) struct Group {
    status: u16,
    error: &'static str,
    rows: Vec<(&'static str, RequestBuilder)>,
}

/// A row with the answer it got.
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) answer: Answer,
}

/// Rows of a name and a request, and the status and error code of the right answer to each. The
/// error is empty where there is none.
pub(crate) fn group(
    status: u16,
    error: &'static str,
    rows: Vec<(&'static str, RequestBuilder)>,
) -> Group {
    Group {
        status,
        error,
        rows,
    }
}

/// Asks one row after the other.
pub(crate) async fn ask(groups: Vec<Group>) -> Vec<Asked> {
    let mut asked = Vec::new();
    for group in groups {
        for (name, request) in group.rows {
            asked.push(Asked {
                name,
                status: group.status,
                error: group.error,
                answer: answer(request).await,
            });
        }
    }
    asked
}

/// Holds every answer to its row and to `faults`, and names each row that fails.
#[track_caller]
pub(crate) fn check(asked: &[Asked], faults: impl Fn(&Asked) -> Vec<String>) {
    let mut report = String::new();
    for asked in asked {
        let answer = &asked.answer;
        let (status, error) = (answer.status.as_u16(), code_of(answer));
        let mut found = faults(asked);
        if (status, error.as_str()) != (asked.status, asked.error) {
            found.push(format!("expected {} {}", asked.status, asked.error));
        }
        if format!("{answer:?}").contains(CANARY) {
            found.push("the answer repeats the input".to_owned());
        }
        if !found.is_empty() {
            let found = found.join("; ");
            let (name, body) = (asked.name, &answer.body);
            let headers = &answer.headers;
            writeln!(report, "{name}: {found}\n  {status} {headers:?}\n  {body}").unwrap();
        }
    }
    assert!(report.is_empty(), "rows that fail:\n{report}");
}

/// Names each row and whether it holds, where the answer is more than a status and a code.
#[track_caller]
pub(crate) fn check_each(outcomes: &[(&str, Result<(), String>)]) {
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "rows that fail:\n{}", failed.join("\n"));
}

/// What every answer of the token endpoint has (RFC 6749 §5.1, §5.2, appendix A.8).
pub(crate) fn token_answer_faults(asked: &Asked) -> Vec<String> {
    let answer = &asked.answer;
    let mut faults = header_faults(
        answer,
        &[
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
            ("x-content-type-options", "nosniff"),
        ],
    );
    let challenge = answer.header("www-authenticate");
    if (answer.status == 401) != challenge.starts_with("Basic realm=") {
        faults.push("a Basic challenge comes with 401 and with nothing else".to_owned());
    }
    if answer.status == 503 && answer.header("retry-after").parse::<u32>().is_err() {
        faults.push("503 without Retry-After".to_owned());
    }
    if asked.error.is_empty() {
        return faults;
    }
    let body = answer.json();
    let members: Vec<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    if members != ["error", "error_description"] {
        faults.push(format!("members {members:?}"));
    }
    let description = body["error_description"].as_str().unwrap_or_default();
    // error-description = 1*( %x20-21 / %x23-5B / %x5D-7E ) (RFC 6749 appendix A.8)
    let is_allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if description.is_empty() || !description.bytes().all(is_allowed) {
        faults.push(format!("description {description:?}"));
    }
    faults
}

/// The headers that are not as wanted.
pub(crate) fn header_faults(answer: &Answer, wanted: &[(&str, &str)]) -> Vec<String> {
    wanted
        .iter()
        .filter(|(name, value)| answer.header(name) != *value)
        .map(|(name, value)| format!("{name} is not {value}"))
        .collect()
}

/// The error code of a JSON body, or of a bearer challenge.
fn code_of(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate");
    let (_, code) = challenge.split_once("error=\"").unwrap_or_default();
    let code = code.split('"').next().unwrap_or_default();
    if code.is_empty() {
        answer.error()
    } else {
        code.to_owned()
    }
}

/// The same letters in the other case.
pub(crate) fn flip_case(text: &str) -> String {
    let flip = |letter: char| {
        if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    };
    text.chars().map(flip).collect()
}
