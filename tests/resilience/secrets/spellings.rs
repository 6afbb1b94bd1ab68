//! The spellings in which a secret may come out, and the search for them.

use base64::prelude::{BASE64_STANDARD, Engine};

/// What must not be told, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) name: &'static str,
    pub(super) value: String,
}

impl Secret {
    /// One of thirty letters, the length of a token: nothing encodes them but what encodes all.
    pub(super) fn canary(name: &'static str) -> Self {
        let letters: String = name.split_whitespace().collect();
        let value = format!("canary{letters:q<24}");
        assert_eq!(value.len(), 30, "{name}");
        Self { name, value }
    }

    /// The line that tells it, if one does.
    pub(super) fn told_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let at = spellings(&self.value)
            .iter()
            .find_map(|spelling| text.find(spelling.as_str()))?;
        let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
        text[begin..].lines().next()
    }
}

/// As it stands (which is also how JSON, HTML, forms and addresses have letters), within base64
/// wherever in it the secret begins, in hex, and as Rust shows bytes.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let base64 = |before: usize| {
        let mut all = vec![0; before];
        all.extend_from_slice(bytes);
        let text = BASE64_STANDARD.encode(&all);
        // The characters that depend on the secret alone.
        let (from, to) = ((before * 8).div_ceil(6), all.len() * 8 / 6);
        text[from..to].to_owned()
    };
    let hex = |digit: fn(&u8) -> String| bytes.iter().map(digit).collect::<String>();
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    vec![
        secret.to_owned(),
        base64(0),
        base64(1),
        base64(2),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
        numbers.join(", "),
    ]
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    let secret = Secret::canary("of this test");
    let value = &secret.value;
    for told in [
        format!("user={value}&x"),
        format!("Basic {}", BASE64_STANDARD.encode(format!("shop:{value}"))),
        format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("shop1:{value}!"))
        ),
        format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("shop22:{value}"))
        ),
        format!("{:?}", value.as_bytes()),
        spellings(value)[4].to_uppercase(),
    ] {
        let text = format!("a line\nbefore {told} after\nanother");
        assert_eq!(
            secret.told_in(&text),
            Some(format!("before {told} after").as_str())
        );
    }
    assert_eq!(Secret::canary("of another").told_in(value), None);
}
