//! What a live access token stands for, packed for the local copy: all texts in one shared block,
//! each as it stands in a header, so that an answer takes slices of it and makes nothing.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use time::OffsetDateTime;

use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{Grant, GrantUser, RecordId};
use crate::stores::redis::companion::FoundGrant;

/// What is encoded in a user name and in a client's identifier, so that any makes a header and none
/// makes two.
const HEADER_UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
/// A blank at either end, where it is no part of a header (RFC 9110 §5.5).
const OUTER_BLANK: &str = "%20";

/// A live access token. Its clones share the texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveToken {
    /// All texts, one after the other, in the order of [`Text`].
    texts: Bytes,
    /// Where each text but the last ends.
    ends: [u32; 3],
    has_user: bool,
    issued_at: Nanos,
    expires_at: Nanos,
}

/// One of the texts.
#[derive(Clone, Copy)]
enum Text {
    UserId,
    Username,
    ClientId,
    Scope,
}

/// Nanoseconds since 1970, half as large as what they are read from. They last until 2262; what is
/// later is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Nanos(i64);

impl LiveToken {
    /// Packs a grant; `None` where it is of 4 GiB or more.
    pub(super) fn new(grant: &Grant) -> Option<Self> {
        let user = grant.user.as_ref();
        let scope = grant.scope.to_string();
        Self::pack(
            user.map(|user| (user.id, user.username.as_str())),
            [grant.client_id.as_str(), &scope],
            (grant.issued_at, grant.expires_at),
        )
    }

    /// Packs a grant that was found in Redis, from where its texts stand; else as
    /// [`LiveToken::new`].
    pub(super) fn of_found(found: &FoundGrant<'_>) -> Option<Self> {
        Self::pack(
            Some((found.user_id, &found.username)),
            [&found.client_id, &found.scope],
            (found.issued_at, found.expires_at),
        )
    }

    fn pack(
        user: Option<(RecordId, &str)>,
        [client_id, scope]: [&str; 2],
        (issued_at, expires_at): (OffsetDateTime, OffsetDateTime),
    ) -> Option<Self> {
        let id = user.map_or_else(String::new, |(id, _)| id.to_string());
        let username = encode(user.map_or("", |(_, username)| username));
        let client_id = encode(client_id);
        let parts = [id.as_str(), &username, &client_id, scope];
        // Made in one piece: what grows leaves holes behind.
        let texts = parts.concat();
        let mut ends = [0; 3];
        let mut length = 0;
        for (end, part) in ends.iter_mut().zip(parts) {
            length += part.len();
            *end = u32::try_from(length).ok()?;
        }
        Some(Self {
            texts: Bytes::from(texts),
            ends,
            has_user: user.is_some(),
            issued_at: Nanos::of(issued_at),
            expires_at: Nanos::of(expires_at),
        })
    }

    /// Whether it is accepted at `now`.
    pub fn is_live_at(&self, now: OffsetDateTime) -> bool {
        self.expires_at > Nanos::of(now)
    }

    /// Whether it allows all of `scope`.
    pub fn allows(&self, scope: &Scope) -> bool {
        let own = &self.texts[self.range(Text::Scope)];
        scope.iter().all(|wanted| {
            let mut tokens = own.split(|byte| *byte == b' ');
            tokens.any(|token| token == wanted.as_bytes())
        })
    }

    /// The resource owner's identifier, 24 hex digits.
    pub fn user_id(&self) -> Option<Bytes> {
        self.has_user.then(|| self.share(Text::UserId))
    }

    /// The resource owner's login name, in which control characters, `%`, what is not ASCII and blanks
    /// at either end are percent-encoded.
    pub fn username(&self) -> Option<Bytes> {
        self.has_user.then(|| self.share(Text::Username))
    }

    /// The client it was issued to, encoded as the name.
    pub fn client_id(&self) -> Bytes {
        self.share(Text::ClientId)
    }

    /// Its scope tokens, separated by single spaces.
    pub fn scope(&self) -> Bytes {
        self.share(Text::Scope)
    }

    /// The grant that was packed.
    pub fn grant(&self) -> Grant {
        let user = self.has_user.then(|| {
            let username = self.decode(Text::Username);
            let id = RecordId::parse(&self.read(Text::UserId))?;
            Some(GrantUser { id, username })
        });
        Grant {
            user: user.flatten(),
            client_id: ClientId::new(self.decode(Text::ClientId)),
            scope: self
                .read(Text::Scope)
                .split(' ')
                .map(str::to_owned)
                .collect(),
            issued_at: self.issued_at.instant(),
            expires_at: self.expires_at.instant(),
        }
    }

    /// How many bytes its texts have.
    pub(super) fn length(&self) -> usize {
        self.texts.len()
    }

    fn share(&self, text: Text) -> Bytes {
        self.texts.slice(self.range(text))
    }

    fn read(&self, text: Text) -> String {
        String::from_utf8_lossy(&self.texts[self.range(text)]).into_owned()
    }

    fn decode(&self, text: Text) -> String {
        let encoded = percent_decode(&self.texts[self.range(text)]);
        encoded.decode_utf8_lossy().into_owned()
    }

    fn range(&self, text: Text) -> Range<usize> {
        let [of_id, of_name, of_client] = self.ends.map(|end| end as usize);
        match text {
            Text::UserId => 0..of_id,
            Text::Username => of_id..of_name,
            Text::ClientId => of_name..of_client,
            Text::Scope => of_client..self.texts.len(),
        }
    }
}

fn encode(text: &str) -> Cow<'_, str> {
    let encoded = Cow::from(utf8_percent_encode(text, HEADER_UNSAFE));
    let rest = encoded.trim_start_matches(' ');
    let inner = rest.trim_end_matches(' ');
    if inner.len() == encoded.len() {
        return encoded;
    }
    let before = OUTER_BLANK.repeat(encoded.len() - rest.len());
    let after = OUTER_BLANK.repeat(rest.len() - inner.len());
    [&before, inner, &after].concat().into()
}

impl Nanos {
    fn of(instant: OffsetDateTime) -> Self {
        let nanos = instant.unix_timestamp_nanos();
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    fn instant(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(self.0.into())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(username: &str, client_id: &str, scope: &str) -> Grant {
        Grant {
            user: Some(GrantUser {
                id: RecordId([7; 12]),
                username: username.to_owned(),
            }),
            client_id: ClientId::new(client_id),
            scope: Scope::parse(scope).unwrap(),
            issued_at: OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(3),
            expires_at: OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1),
        }
    }

    proptest! {
        #[test]
        fn a_grant_survives_the_packing(
            username in " {0,2}.{0,40} {0,2}",
            client_id in " {0,2}.{0,40} {0,2}",
            scope in "([!#-\\[\\]-~]{1,5}( [!#-\\[\\]-~]{1,5}){0,3})?",
            has_user in any::<bool>(),
        ) {
            let mut grant = grant(&username, &client_id, &scope);
            if !has_user {
                grant.user = None;
            }
            let live = LiveToken::new(&grant).unwrap();
            prop_assert_eq!(live.grant(), grant);
            let is_header = |byte: &u8| (b' '..=b'~').contains(byte);
            for text in [live.username().unwrap_or_default(), live.client_id()] {
                prop_assert!(text.iter().all(is_header), "{text:?}");
                prop_assert_eq!(text.trim_ascii(), text.as_ref());
            }
        }
    }

    #[test]
    fn it_allows_what_was_granted_and_ends_with_it() {
        let grant = grant("jonas", "app", "read write");
        let live = LiveToken::new(&grant).unwrap();
        for (scope, is_allowed) in [
            ("", true),
            ("read", true),
            ("read write", true),
            ("rea", false),
            ("read admin", false),
        ] {
            let scope = Scope::parse(scope).unwrap();
            assert_eq!(live.allows(&scope), is_allowed, "{scope}");
        }
        assert!(!live.is_live_at(grant.expires_at));
        assert!(live.is_live_at(grant.expires_at - time::Duration::nanoseconds(1)));
    }

    #[test]
    fn an_instant_beyond_what_is_kept_is_the_nearest_that_is() {
        let mut grant = grant("jonas", "app", "");
        grant.expires_at = time::macros::datetime!(9999-12-31 0:00 UTC);
        let live = LiveToken::new(&grant).unwrap();
        assert_eq!(live.grant().expires_at.year(), 2262);
        assert!(
            !LiveToken::new(&self::grant("", "", ""))
                .unwrap()
                .allows(&Scope::parse("a").unwrap())
        );
    }
}
