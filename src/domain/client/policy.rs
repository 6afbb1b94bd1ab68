//! What a client's own record says of its tokens, where it differs from the server's settings.

use std::time::Duration;

use super::ClientType;
use crate::domain::error::RecordError;

/// The longest lifetime a client may be given: 100 years.
const MAX_LIFETIME: Duration = Duration::from_hours(100 * 365 * 24);

/// How the tokens of one client are issued, and which of others it may look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientPolicy {
    /// Lifetime of its access tokens; `None` is the server's.
    pub access_lifetime: Option<Duration>,
    /// Lifetime of its refresh tokens, from the login on; `None` is the server's.
    pub refresh_lifetime: Option<Duration>,
    /// How many pairs one user may have with it.
    pub sessions: Sessions,
    /// Whose tokens it may introspect.
    pub introspection: Introspection,
}

/// How many live pairs one user may have with a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// One: a login ends the pair before it, as Flask-Sentinel has it.
    #[default]
    Single,
    /// One for each login.
    Many,
}

/// Whose tokens a client may introspect (RFC 7662 §2.1, §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Introspection {
    /// Those issued to itself.
    #[default]
    Own,
    /// Everyone's: it is a resource server.
    Any,
}

impl ClientPolicy {
    /// Checks it for a client of this type.
    ///
    /// # Errors
    /// [`RecordError::Lifetime`] for a lifetime of nothing or of over 100 years;
    /// [`RecordError::Introspection`] for a public client that is to see everyone's tokens.
    pub fn check(&self, client_type: ClientType) -> Result<(), RecordError> {
        let lifetimes = [self.access_lifetime, self.refresh_lifetime];
        if !lifetimes.into_iter().flatten().all(Self::is_lifetime) {
            return Err(RecordError::Lifetime);
        }
        if client_type == ClientType::Public && self.introspection == Introspection::Any {
            return Err(RecordError::Introspection);
        }
        Ok(())
    }

    /// Whether a client may have this lifetime: not nothing, and at most 100 years.
    pub fn is_lifetime(lifetime: Duration) -> bool {
        !lifetime.is_zero() && lifetime <= MAX_LIFETIME
    }
}

impl Sessions {
    /// Its name in records and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Many => "many",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Single, Self::Many];
        all.into_iter().find(|sessions| sessions.as_str() == name)
    }
}

impl Introspection {
    /// Its name in records and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Any => "any",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Own, Self::Any];
        all.into_iter().find(|whose| whose.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_may_have_is_refused() {
        let lifetime = |access_lifetime| ClientPolicy {
            access_lifetime: Some(access_lifetime),
            ..ClientPolicy::default()
        };
        assert!(ClientPolicy::default().check(ClientType::Public).is_ok());
        let minute = lifetime(Duration::from_mins(1));
        assert!(minute.check(ClientType::Public).is_ok());
        for bad in [Duration::ZERO, MAX_LIFETIME + Duration::from_secs(1)] {
            let refused = lifetime(bad).check(ClientType::Public);
            assert_eq!(refused, Err(RecordError::Lifetime));
        }
        let everyones = ClientPolicy {
            introspection: Introspection::Any,
            ..ClientPolicy::default()
        };
        assert!(everyones.check(ClientType::Confidential).is_ok());
        let refused = everyones.check(ClientType::Public);
        assert_eq!(refused, Err(RecordError::Introspection));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for sessions in [Sessions::Single, Sessions::Many] {
            assert_eq!(Sessions::parse(sessions.as_str()), Some(sessions));
        }
        for whose in [Introspection::Own, Introspection::Any] {
            assert_eq!(Introspection::parse(whose.as_str()), Some(whose));
        }
        assert_eq!(Sessions::parse("several"), None);
        assert_eq!(Introspection::parse(""), None);
    }
}
