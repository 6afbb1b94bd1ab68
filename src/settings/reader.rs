//! Typed reading of raw values; notes every fault instead of stopping at the first.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::fault::{Fault, Origin, Raw, Wrong};
use super::keys::{Key, Sensitivity};
use super::layers::Collected;

/// Reads values; what it returns as `None` it has noted as a fault.
pub(super) struct Reader {
    values: BTreeMap<&'static str, Raw>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
}

impl Reader {
    pub(super) fn new(collected: Collected) -> Self {
        let Collected {
            values,
            faults,
            warnings,
        } = collected;
        Self {
            values,
            faults,
            warnings,
        }
    }

    /// The raw value, if there is one.
    pub(super) fn raw(&self, key: &Key) -> Option<&Raw> {
        self.values.get(key.name)
    }

    /// Whether someone set it, so that it is not the default.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        self.raw(key)
            .is_some_and(|raw| raw.origin != Origin::Default)
    }

    /// The value of a key that always has one.
    pub(super) fn required<T>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.optional(key, parse)?;
        if value.is_none() {
            self.faults.push(Fault::Missing {
                name: key.name,
                mend: "set it".to_owned(),
            });
        }
        value
    }

    /// The value of a key that may have none: `Some(None)`.
    #[expect(
        clippy::option_option,
        reason = "the outer one is a fault, the inner one absence"
    )]
    pub(super) fn optional<T>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.values.get(key.name) else {
            return Some(None);
        };
        // Blanks around a value are slips of the hand, but in a secret they may be meant.
        let text = match key.sensitivity {
            Sensitivity::Secret => raw.text.as_str(),
            Sensitivity::Open | Sensitivity::Address => raw.text.trim(),
        };
        match parse(text) {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                let fault = wrong.of(key, raw);
                self.faults.push(fault);
                None
            }
        }
    }

    /// Notes a fault of a value that was read already.
    pub(super) fn reject(&mut self, key: &'static Key, wrong: Wrong) {
        match self.values.get(key.name) {
            Some(raw) => {
                let fault = wrong.of(key, raw);
                self.faults.push(fault);
            }
            None => self.faults.push(Fault::Missing {
                name: key.name,
                mend: wrong.mend,
            }),
        }
    }

    /// Notes that one key needs another that is not set.
    pub(super) fn missing(&mut self, key: &'static Key, given: &'static Key) {
        let mend = format!(
            "{} is set, and one needs the other: set both or neither",
            given.name
        );
        self.faults.push(Fault::Missing {
            name: key.name,
            mend,
        });
    }
}

/// A whole number within a range.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, Wrong>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| {
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                Wrong::new(
                    "is not a whole number in the range",
                    format!("write a number from {least} to {most}"),
                )
            })
    }
}

/// `true` or `false`, as TOML and Python write them; `None` for anything else.
pub(super) fn as_boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}

/// A boolean.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    as_boolean(text).ok_or_else(|| Wrong::new("is not a boolean", "write true or false"))
}

/// A path of the file system.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    plain_text(text).map(PathBuf::from)
}

/// A text that is not empty and has no control characters.
pub(super) fn plain_text(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        Err(Wrong::new(
            "is empty",
            "give a value, or leave the setting out",
        ))
    } else if text.contains(char::is_control) {
        Err(Wrong::new("holds a control character", "remove it"))
    } else {
        Ok(text.to_owned())
    }
}

/// An address and a port; `localhost` is the one name that needs no look-up.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        Wrong::new(
            "is not an address and a port",
            "write an IP address and a port, such as 127.0.0.1:5000 or [::1]:5000",
        )
    })
}
