//! Reading `sentinel.toml`: what may be wrong with the file as a whole.
//!
//! What does not live here: which keys it may hold (`sources`), whether their values are good
//! (`load`).

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::Dict;
use figment::{Profile, Provider};

use super::fault::Fault;

/// No honest configuration file is larger; `/dev/zero` is.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// A configuration file, read and parsed.
pub(super) struct ConfigFile {
    /// Where it is, for messages.
    pub(super) path: PathBuf,
    /// Its top-level values.
    pub(super) values: Dict,
    /// Permission bits.
    mode: u32,
}

/// Who besides its owner may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    Owner,
    Group,
    World,
}

impl ConfigFile {
    /// Reads the file, which has to be there.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let (bytes, metadata) = contents(path).map_err(|error| unreadable(path, &error))?;
        let text = text_of(path, &bytes)?;
        Ok(Self {
            path: path.to_owned(),
            values: parse(path, text)?,
            mode: metadata.permissions().mode(),
        })
    }

    /// Reads the file if there is one.
    pub(super) fn read_if_present(path: &Path) -> Result<Option<Self>, Fault> {
        // Not `exists()`: that takes a folder we may not enter, or a dangling link, for absence.
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => Self::read(path).map(Some),
        }
    }

    /// Who may read it.
    pub(super) fn readers(&self) -> Readers {
        if self.mode & 0o004 != 0 {
            Readers::World
        } else if self.mode & 0o040 != 0 {
            Readers::Group
        } else {
            Readers::Owner
        }
    }

    /// The fault of a file with secrets that everyone may read.
    pub(super) fn exposed(&self) -> Fault {
        let mode = self.mode & 0o777;
        fault(
            &self.path,
            format!("holds secrets and everyone may read it (mode {mode:o})"),
            "run chmod 600 on it",
        )
    }
}

fn contents(path: &Path) -> std::io::Result<(Vec<u8>, Metadata)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let (reason, mend) = match error.kind() {
        ErrorKind::NotFound => ("there is no such file".to_owned(), "give the path of one"),
        ErrorKind::IsADirectory => ("is a directory".to_owned(), "give the path of a file"),
        ErrorKind::PermissionDenied => (
            "may not be read".to_owned(),
            "let the server's user read it",
        ),
        _ => (format!("cannot be read: {error}"), "give a readable file"),
    };
    fault(path, reason, mend)
}

fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    const SAVE: &str = "save it as UTF-8";
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(fault(
            path,
            "is larger than 1 MiB".to_owned(),
            "give a sentinel.toml",
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return Err(fault(
            path,
            "is UTF-16 or binary, not UTF-8".to_owned(),
            SAVE,
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before
            .chars()
            .rev()
            .take_while(|character| *character != '\n')
            .count()
            + 1;
        fault(
            path,
            format!("line {line}, column {column}: is not UTF-8"),
            SAVE,
        )
    })?;
    // Editors on Windows put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(fault(
            path,
            "is empty".to_owned(),
            "put settings in it or remove it",
        ));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Dict, Fault> {
    match Toml::string(text).data() {
        Ok(mut profiles) => Ok(profiles.remove(&Profile::Default).unwrap_or_default()),
        Err(error) => {
            let message = match &error.kind {
                Kind::Message(message) => place_and_cause(message),
                other => other.to_string(),
            };
            Err(fault(
                path,
                message,
                "write KEY = \"value\", one a line, each key once",
            ))
        }
    }
}

/// Makes one line of the parser's report, which quotes the line of the file between place and
/// cause: the quote is left out, since it may be a password.
fn place_and_cause(report: &str) -> String {
    let mut report_lines = report.lines();
    let place = report_lines.next().unwrap_or_default();
    let place = place.strip_prefix("TOML parse error at ").unwrap_or(place);
    let causes: Vec<&str> = report_lines
        .skip_while(|line| !is_marker(line))
        .skip(1)
        .map(str::trim)
        .collect();
    format!("{place}: {}", causes.join(", "))
}

/// Whether this is the line of the report that points below the quoted one, `  |   ^`.
fn is_marker(line: &str) -> bool {
    line.trim_start()
        .strip_prefix('|')
        .is_some_and(|rest| rest.trim_start().starts_with('^'))
}

fn fault(path: &Path, reason: String, mend: &'static str) -> Fault {
    Fault::File {
        path: path.to_owned(),
        reason,
        mend,
    }
}
