//! How long a run is: short unless a variable of the environment says otherwise.

/// The number that this variable holds, or `default`.
#[track_caller]
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    let Some(text) = std::env::var_os(variable) else {
        return default;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{variable} is no number: {}", text.display()))
}
