//! Writes log lines to standard error, so that no text in them can forge a line or speak to a
//! terminal (RUSTSEC-2025-0055 and what it leaves open: line breaks).

use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use super::metrics::LOG_LINES_LOST;

/// Makes a writer for each line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinesTo<M>(pub(super) M);

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for LinesTo<M> {
    type Writer = LineWriter<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        LineWriter(self.0.make_writer())
    }
}

/// Writes one line, all of whose control characters but the closing line break are escaped.
pub(super) struct LineWriter<W>(W);

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The formatter hands over each line whole. A lost one (a full disk) is counted, never an
        // error for the one who logs.
        if self.0.write_all(escape(line).as_bytes()).is_err() {
            metrics::counter!(LOG_LINES_LOST).increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escape(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let mut escaped = String::with_capacity(line.len());
    for character in text.chars() {
        if character.is_control() {
            // JSON's own escape, so a line of JSON stays one. Writing to a `String` does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped.push('\n');
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_but_the_closing_line_break() {
        let line = "a\nb\r\x1b[31m\x7f\u{9b}\té\n";
        let expected = "a\\u000ab\\u000d\\u001b[31m\\u007f\\u009b\\u0009é\n";
        assert_eq!(escape(line.as_bytes()), expected);
    }

    #[test]
    fn a_full_disk_is_no_error_for_the_one_who_logs() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(LineWriter(Full).write_all(b"a line\n").is_ok());
    }
}
