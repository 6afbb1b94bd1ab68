//! Scope: a set of scope tokens (RFC 6749 §3.3).

use std::borrow::Cow;
use std::fmt;

use super::error::GrantError;

/// The longest scope parameter we read, in characters.
pub const MAX_LENGTH: usize = 1_000;

/// A set of scope tokens, kept sorted and without repeats. Empty when none was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Parses the `scope` parameter: scope tokens separated by single spaces. Empty is the empty
    /// scope, as if the parameter had not been sent.
    ///
    /// # Errors
    /// [`GrantError::InvalidScope`] when a character is not allowed, a token is empty, or the
    /// whole is longer than 1,000 characters.
    pub fn parse(parameter: &str) -> Result<Self, GrantError> {
        if parameter.is_empty() {
            return Ok(Self::default());
        }
        if parameter.len() > MAX_LENGTH || !parameter.split(' ').all(is_scope_token) {
            return Err(GrantError::InvalidScope);
        }
        Ok(parameter.split(' ').map(str::to_owned).collect())
    }

    /// The wire form of what [`Scope::parse`] makes of `parameter`: that text itself, if it was
    /// written by us.
    ///
    /// # Errors
    /// As [`Scope::parse`].
    pub fn wire_form(parameter: &str) -> Result<Cow<'_, str>, GrantError> {
        let is_wire_form = parameter.len() <= MAX_LENGTH
            && parameter.split(' ').all(is_scope_token)
            && parameter.split(' ').is_sorted_by(|one, next| one < next);
        if is_wire_form {
            return Ok(parameter.into());
        }
        Ok(Self::parse(parameter)?.to_string().into())
    }

    /// Whether no scope token is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of its scope tokens is in `other` too.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0.iter().all(|token| other.contains(token))
    }

    /// Whether `token` is one of its scope tokens.
    pub fn contains(&self, token: &str) -> bool {
        self.0
            .binary_search_by(|own| own.as_str().cmp(token))
            .is_ok()
    }

    /// Its scope tokens in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Collects scope tokens. Empty ones (Flask-Sentinel writes `[""]`) are left out, and what has a
/// space in it, which would be several tokens in the wire form.
impl FromIterator<String> for Scope {
    fn from_iter<I: IntoIterator<Item = String>>(tokens: I) -> Self {
        let mut tokens: Vec<String> = tokens
            .into_iter()
            .filter(|token| !token.is_empty() && !token.contains(' '))
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens)
    }
}

/// The wire form: scope tokens separated by single spaces.
impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

// scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 appendix A.4)
fn is_scope_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sorted_and_named_once() {
        let scope = Scope::parse("write read write").unwrap();
        assert_eq!(scope.to_string(), "read write");
    }

    #[test]
    fn the_wire_form_is_that_of_what_was_parsed() {
        let long = "x".repeat(1_001);
        for text in ["", "a", "a b", "b a", "a a", "a  b", "a\"b", &long] {
            let parsed = Scope::parse(text).map(|scope| scope.to_string()).ok();
            let form = Scope::wire_form(text).ok();
            assert_eq!(form.as_deref(), parsed.as_deref(), "{text:?}");
        }
    }

    #[test]
    fn an_empty_parameter_is_the_empty_scope() {
        assert!(Scope::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_flask_sentinel_stores_is_the_empty_scope() {
        assert!(Scope::from_iter([String::new()]).is_empty());
    }

    #[test]
    fn a_stored_token_with_a_space_is_no_two_tokens() {
        let scope = Scope::from_iter(["read admin".to_owned(), "read".to_owned()]);
        assert_eq!(scope.to_string(), "read");
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        let long = "x".repeat(1_001);
        for bad in ["a\"b", "a\\b", "a  b", " a", "a ", "a\tb", "é", &long] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_narrower_scope_is_a_subset() {
        let wide = Scope::parse("read write").unwrap();
        assert!(Scope::parse("read").unwrap().is_subset_of(&wide));
        assert!(!Scope::parse("read admin").unwrap().is_subset_of(&wide));
    }
}
