//! What of a value may be shown in messages, logs and `sentinel settings`.

use super::keys::{Key, Sensitivity};

/// What stands for the hidden part.
const HIDDEN: &str = "***";

/// The value as it may be shown, on one line.
pub(super) fn shown(key: &Key, value: &str) -> String {
    let open = match key.sensitivity {
        Sensitivity::Open => value.to_owned(),
        Sensitivity::Address => without_credentials(value),
        Sensitivity::Secret => HIDDEN.to_owned(),
    };
    on_one_line(&open)
}

/// The text without what injects into logs and terminals: a control character is shown as its escape.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars().flat_map(printable).collect()
}

/// Whether something of the value has to be hidden.
pub(super) fn holds_secret(key: &Key, value: &str) -> bool {
    match key.sensitivity {
        Sensitivity::Open => false,
        Sensitivity::Address => without_credentials(value) != value,
        Sensitivity::Secret => true,
    }
}

fn printable(character: char) -> Vec<char> {
    if character.is_control() {
        character.escape_default().collect()
    } else {
        vec![character]
    }
}

/// Hides passwords in one address or a list of them, well-formed or not.
///
/// It works on text because what did not parse is shown too, and hides rather too much: all that
/// stands before the last `@` of an address is taken for credentials, since a password that was
/// not percent-encoded may hold any character.
fn without_credentials(value: &str) -> String {
    let mut addresses: Vec<String> = Vec::new();
    for piece in value.split(',') {
        match addresses.last_mut() {
            // A comma inside a password, or between the hosts of one address.
            Some(last) if !begins_address(piece) => {
                last.push(',');
                last.push_str(piece);
            }
            _ => addresses.push(piece.to_owned()),
        }
    }
    addresses
        .iter()
        .map(|address| redacted(address))
        .collect::<Vec<_>>()
        .join(",")
}

fn begins_address(piece: &str) -> bool {
    const SCHEMES: [&str; 7] = [
        "redis",
        "rediss",
        "unix",
        "redis+unix",
        "redis+cluster",
        "rediss+cluster",
        "mongodb",
    ];
    let scheme = piece
        .trim_start()
        .split_once("://")
        .map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
}

fn redacted(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            format!(
                "{scheme}://{}",
                without_query_secrets(&without_user_info(rest))
            )
        }
        None => without_query_secrets(&without_user_info(address)),
    }
}

fn without_user_info(address: &str) -> String {
    let Some((user_info, rest)) = address.rsplit_once('@') else {
        return address.to_owned();
    };
    match user_info.split_once(':') {
        // What is no plain name may be part of a password.
        Some((user, _)) if !user.contains(['/', '?', '=', '@']) => {
            format!("{user}:{HIDDEN}@{rest}")
        }
        _ => format!("{HIDDEN}@{rest}"),
    }
}

fn without_query_secrets(address: &str) -> String {
    let Some((before, query)) = address.split_once('?') else {
        return address.to_owned();
    };
    let pairs: Vec<String> = query.split('&').map(without_pair_secret).collect();
    format!("{before}?{}", pairs.join("&"))
}

fn without_pair_secret(pair: &str) -> String {
    const TELLING: [&str; 4] = ["pass", "secret", "token", "properties"];
    match pair.split_once('=') {
        Some((name, value)) => {
            let lower = name.to_ascii_lowercase();
            if !value.is_empty() && TELLING.iter().any(|word| lower.contains(word)) {
                format!("{name}={HIDDEN}")
            } else {
                pair.to_owned()
            }
        }
        None => pair.to_owned(),
    }
}
