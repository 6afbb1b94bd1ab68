//! What commands write.
//!
//! Text of a server or a store is made printable first: a user name may hold what a terminal obeys.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::exit::Failure;

/// Writes text to standard output; a newline is added.
///
/// # Errors
/// [`Failure::Output`]. A reader that has seen enough, such as `head`, is none.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// Writes a value as JSON to standard output.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Output(io::Error::from(error)))?;
    print(&text)
}

/// Tells that something was done that has no record: in words, or as an empty object for programs.
///
/// # Errors
/// As [`print`].
pub(super) fn print_done(done: &str, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return print_json(&serde_json::json!({}));
    }
    print(done)
}

/// Writes a line to standard error.
pub(super) fn complain(line: &str) {
    // There is nobody left to be told that nobody can be told.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The text with what a terminal would obey shown as its escape.
pub(super) fn printable(text: &str) -> String {
    let is_obeyed = |character: char| {
        // Bidirectional marks reorder what stands beside them.
        let is_mark = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        character.is_control() || is_mark
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("jürgen"), "jürgen");
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }
}
