//! Passwords and tokens from standard input or the terminal, never from arguments or logs.

use std::io::{self, BufRead, IsTerminal};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::settings::secret::Secret;

/// No password or token is longer.
const LONGEST_LINE_BYTES: u64 = 4096;

/// Why a password or token could not be read.
#[derive(Debug, Error)]
pub(super) enum InputError {
    /// There is no line, or an empty one.
    #[error("standard input has no line with the {0}; write one, such as with `printf '%s\\n'`")]
    Missing(&'static str),
    /// It is no line of text.
    #[error("the {0} on standard input is no line of UTF-8 text of at most 4096 bytes")]
    NotALine(&'static str),
    /// Nobody can be asked.
    #[error("there is no terminal to ask for the password; give it with --password-stdin")]
    NoTerminal,
    /// The terminal failed.
    #[error("the terminal cannot be read: {0}; give the password with --password-stdin")]
    Terminal(io::Error),
    /// What was typed the second time differs.
    #[error("the passwords differ; nothing was changed, try again")]
    Differ,
}

/// The next line of standard input; `what` names it for people.
///
/// # Errors
/// [`InputError::Missing`], [`InputError::NotALine`].
pub(super) fn next_line(what: &'static str) -> Result<Secret, InputError> {
    line_of(io::stdin().lock(), what)
}

/// Asks for a new password on the terminal, twice and without echo.
///
/// # Errors
/// [`InputError::NoTerminal`], [`InputError::Terminal`], [`InputError::Differ`].
pub(super) fn ask_twice(whose: &str) -> Result<Secret, InputError> {
    // A program that pipes the password would be asked on a terminal it does not know of.
    if !io::stdin().is_terminal() {
        return Err(InputError::NoTerminal);
    }
    let ask = |prompt: String| {
        let typed = rpassword::prompt_password(prompt).map_err(InputError::Terminal)?;
        Ok(Zeroizing::new(typed))
    };
    let first = ask(format!("Password of {whose}: "))?;
    let second = ask("The same again: ".to_owned())?;
    if first == second {
        Ok(Secret::new(first.as_str()))
    } else {
        Err(InputError::Differ)
    }
}

fn line_of(reader: impl BufRead, what: &'static str) -> Result<Secret, InputError> {
    let mut line = Zeroizing::new(String::new());
    let limit = LONGEST_LINE_BYTES + 1;
    reader
        .take(limit)
        .read_line(&mut line)
        .map_err(|_| InputError::NotALine(what))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.len() as u64 {
        0 => Err(InputError::Missing(what)),
        bytes if bytes > LONGEST_LINE_BYTES => Err(InputError::NotALine(what)),
        _ => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_after_the_other_and_blanks_kept() {
        let mut reader: &[u8] = b" first \r\nsecond";
        assert_eq!(line_of(&mut reader, "x").unwrap().expose(), " first ");
        assert_eq!(line_of(&mut reader, "x").unwrap().expose(), "second");
        assert!(matches!(
            line_of(&mut reader, "x"),
            Err(InputError::Missing("x"))
        ));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let long = vec![b'a'; 5000];
        for bytes in [&long[..], b"\xff\n"] {
            let refused = line_of(bytes, "password");
            assert!(matches!(refused, Err(InputError::NotALine("password"))));
        }
    }
}
