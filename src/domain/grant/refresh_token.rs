//! `grant_type=refresh_token`: refreshing an access token (RFC 6749 §6, RFC 9700 §4.14.2).

use time::{Duration, OffsetDateTime};

use crate::domain::client::ClientId;
use crate::domain::error::GrantError;
use crate::domain::scope::Scope;
use crate::domain::token::TokenRecord;
use crate::domain::token_key::TokenKey;

/// How long a client may ask again with the refresh token it just spent, because the answer was
/// lost; it gets the same successor.
pub const GRACE: Duration = Duration::seconds(10);
/// How long it may do so if it was never answered: a store that failed may be away for so long. Its
/// session must not be lost by a fault of ours.
pub const UNANSWERED_GRACE: Duration = Duration::hours(1);

/// A checked request: the client is known and authenticated.
#[derive(Clone, Debug)]
pub struct RefreshTokenRequest {
    /// The client that asks.
    pub client_id: ClientId,
    /// The refresh token it presents.
    pub refresh_token: TokenKey,
    /// The scope it asks for; empty is the one first granted.
    pub scope: Scope,
}

/// What becomes of a request whose refresh token was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Spend it for a new pair with this scope.
    Rotate(Scope),
    /// It was spent a moment ago: answer with the pair it was spent for.
    Repeat,
    /// It was spent before: somebody else may have it. End the family and refuse.
    EndFamily,
}

/// Decides on a request, given the record that has its refresh token as the present or the just
/// spent one, and whether the request that spent it was answered.
///
/// # Errors
/// [`GrantError::InvalidGrant`] when the token is another client's or has ended;
/// [`GrantError::InvalidScope`] when more is asked than was first granted.
pub fn decide(
    request: &RefreshTokenRequest,
    record: &TokenRecord,
    is_answered: bool,
    now: OffsetDateTime,
) -> Result<Decision, GrantError> {
    // "the refresh token is bound to the client to which it was issued" (RFC 6749 §6). It is not
    // spent by another client's attempt.
    if record.client_id != request.client_id {
        return Err(GrantError::InvalidGrant);
    }
    let is_spent = record.refresh_token.as_ref() != Some(&request.refresh_token);
    if is_spent && !is_repeat(request, record, is_answered, now) {
        return Ok(Decision::EndFamily);
    }
    if record.refresh_expires_at.is_some_and(|end| end <= now) {
        return Err(GrantError::InvalidGrant);
    }
    if is_spent {
        return Ok(Decision::Repeat);
    }
    // "The requested scope MUST NOT include any scope not originally granted" (RFC 6749 §6).
    if !request.scope.is_subset_of(&record.refresh_scope) {
        return Err(GrantError::InvalidScope);
    }
    let is_whole = request.scope.is_empty();
    let scope = if is_whole {
        &record.refresh_scope
    } else {
        &request.scope
    };
    Ok(Decision::Rotate(scope.clone()))
}

fn is_repeat(
    request: &RefreshTokenRequest,
    record: &TokenRecord,
    is_answered: bool,
    now: OffsetDateTime,
) -> bool {
    let grace = if is_answered { GRACE } else { UNANSWERED_GRACE };
    record
        .rotated_from
        .as_ref()
        .is_some_and(|spent| spent.refresh_token == request.refresh_token && now < spent.at + grace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::{RecordId, RotatedFrom};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn token(letter: char) -> TokenKey {
        TokenKey::parse(&letter.to_string().repeat(30)).unwrap()
    }

    fn record() -> TokenRecord {
        TokenRecord {
            id: RecordId([1; 12]),
            access_token: token('a'),
            refresh_token: Some(token('r')),
            client_id: ClientId::new("c"),
            user_id: Some(RecordId([2; 12])),
            scope: Scope::parse("read").unwrap(),
            refresh_scope: Scope::parse("read write").unwrap(),
            issued_at: NOW,
            expires_at: NOW,
            refresh_expires_at: Some(NOW + Duration::days(30)),
            family_expires_at: Some(NOW + Duration::days(30)),
            session: None,
            family: RecordId([3; 12]),
            rotated_from: Some(RotatedFrom {
                refresh_token: token('o'),
                at: NOW,
                sealed: None,
            }),
            replaced: None,
        }
    }

    fn decide_for(
        client: &str,
        letter: char,
        scope: &str,
        after: Duration,
    ) -> Result<Decision, GrantError> {
        let request = RefreshTokenRequest {
            client_id: ClientId::new(client),
            refresh_token: token(letter),
            scope: Scope::parse(scope).unwrap(),
        };
        decide(&request, &record(), true, NOW + after)
    }

    fn decide_unanswered(after: Duration) -> Result<Decision, GrantError> {
        let request = RefreshTokenRequest {
            client_id: ClientId::new("c"),
            refresh_token: token('o'),
            scope: Scope::default(),
        };
        decide(&request, &record(), false, NOW + after)
    }

    #[test]
    fn the_present_refresh_token_is_rotated_with_the_scope_first_granted() {
        let whole = Scope::parse("read write").unwrap();
        assert_eq!(
            decide_for("c", 'r', "", Duration::ZERO),
            Ok(Decision::Rotate(whole))
        );
    }

    #[test]
    fn a_narrower_scope_is_given_and_a_wider_one_refused() {
        let write = Scope::parse("write").unwrap();
        assert_eq!(
            decide_for("c", 'r', "write", Duration::ZERO),
            Ok(Decision::Rotate(write))
        );
        let refused = decide_for("c", 'r', "admin", Duration::ZERO);
        assert_eq!(refused, Err(GrantError::InvalidScope));
    }

    #[test]
    fn another_clients_refresh_token_is_refused_in_any_state() {
        for letter in ['r', 'o'] {
            let refused = decide_for("other", letter, "", Duration::ZERO);
            assert_eq!(refused, Err(GrantError::InvalidGrant));
        }
    }

    #[test]
    fn an_expired_refresh_token_is_refused() {
        let refused = decide_for("c", 'r', "", Duration::days(30));
        assert_eq!(refused, Err(GrantError::InvalidGrant));
    }

    #[test]
    fn a_just_spent_refresh_token_is_repeated_for_ten_seconds() {
        let moment = GRACE - Duration::milliseconds(1);
        assert_eq!(decide_for("c", 'o', "", moment), Ok(Decision::Repeat));
        assert_eq!(decide_for("c", 'o', "", GRACE), Ok(Decision::EndFamily));
    }

    #[test]
    fn a_refresh_token_whose_spender_got_no_answer_is_repeated_for_an_hour() {
        assert_eq!(decide_unanswered(GRACE), Ok(Decision::Repeat));
        let hour = UNANSWERED_GRACE;
        assert_eq!(decide_unanswered(hour), Ok(Decision::EndFamily));
    }
}
