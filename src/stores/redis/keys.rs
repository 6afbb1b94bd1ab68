//! The name of every key, and what it says of its token.

use redis::Cmd;

use crate::domain::token::TOKEN_LENGTH;
use crate::domain::token_key::TokenKey;

const COMPANION_PREFIX: &str = "sentinel:{";
const COMPANION_SUFFIX: &str = "}";

/// How many bytes both keys of a token have that is kept as it is.
const LENGTH_OF_BOTH: usize = 2 * TOKEN_LENGTH + COMPANION_PREFIX.len() + COMPANION_SUFFIX.len();

/// The key of Flask-Sentinel: the token itself; the value is the user's identifier.
pub(super) fn plain(token: &TokenKey) -> &str {
    token.expose()
}

/// The key of the whole grant. The braces put it into the slot of the plain key.
pub(super) fn companion(token: &TokenKey) -> String {
    [COMPANION_PREFIX, token.expose(), COMPANION_SUFFIX].concat()
}

/// The token that a key belongs to; `None` for a key that is not ours.
pub(super) fn token_of(key: &[u8]) -> Option<TokenKey> {
    let key = str::from_utf8(key).ok()?;
    let inner = key.strip_prefix(COMPANION_PREFIX);
    let inner = inner.and_then(|rest| rest.strip_suffix(COMPANION_SUFFIX));
    TokenKey::parse(inner.unwrap_or(key))
}

/// Asks for the values of both keys of each token.
pub(super) fn look_up<'t>(tokens: impl IntoIterator<Item = &'t TokenKey>) -> Cmd {
    let tokens = tokens.into_iter();
    let count = tokens.size_hint().0;
    let mut get = Cmd::with_capacity(1 + 2 * count, "MGET".len() + count * LENGTH_OF_BOTH);
    get.arg("MGET");
    for token in tokens {
        get.arg(plain(token)).arg(companion(token));
    }
    get
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_of_a_token_lead_back_to_it() {
        let token = TokenKey::parse("sx2Rz0vVFVRQBCFVCTwXINPjSswq1W").unwrap();
        assert_eq!(plain(&token), "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W");
        assert_eq!(
            companion(&token),
            "sentinel:{sx2Rz0vVFVRQBCFVCTwXINPjSswq1W}"
        );
        assert_eq!(token_of(plain(&token).as_bytes()), Some(token.clone()));
        assert_eq!(token_of(companion(&token).as_bytes()), Some(token));
        for foreign in [&b"session:1"[..], b"sentinel:{x}", b"\xff"] {
            assert_eq!(token_of(foreign), None);
        }
    }
}
