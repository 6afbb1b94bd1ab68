//! What a test measured, and how long it is to measure.

use std::fmt::Display;
use std::str::FromStr;

/// Tells a figure, which `--nocapture` shows.
#[expect(clippy::print_stdout, reason = "the harness keeps it unless asked")]
pub(crate) fn measured(figure: impl Display) {
    println!("measured: {figure}");
}

/// A length that a variable of the environment sets: short by default, long by hand.
pub(crate) fn length<T: FromStr>(variable: &str, short: T) -> T {
    let Some(text) = std::env::var_os(variable) else {
        return short;
    };
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.unwrap_or_else(|| panic!("{variable} is {}", text.display()))
}
