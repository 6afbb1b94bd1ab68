//! The fields of a document, read from its bytes in one pass.

use mongodb::bson::RawDocument;
use mongodb::bson::raw::RawBsonRef;
use time::OffsetDateTime;

use crate::domain::scope::Scope;
use crate::domain::token::RecordId;
use crate::domain::token_key::TokenKey;

/// The largest number up to which a double tells each whole one from the next: 2^53.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What a document has up to the first byte that is no BSON.
pub(in super::super) struct Fields<'a>(Vec<(&'a str, RawBsonRef<'a>)>);

impl<'a> Fields<'a> {
    pub(in super::super) fn of(document: &'a RawDocument) -> Self {
        let whole = document.iter().map_while(Result::ok);
        Self(whole.map(|(key, value)| (key.as_str(), value)).collect())
    }

    /// The value of a field; `None` when there is none.
    pub(super) fn get(&self, key: &str) -> Option<RawBsonRef<'a>> {
        let mut named = self.0.iter().filter(|(name, _)| *name == key);
        named.next().map(|(_, value)| *value)
    }

    /// Whether it has a field, of whatever value.
    pub(in super::super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a field is absent or null.
    pub(super) fn lacks(&self, key: &str) -> bool {
        matches!(self.get(key), None | Some(RawBsonRef::Null))
    }

    pub(in super::super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    pub(in super::super) fn record_id(&self, key: &str) -> Option<RecordId> {
        Some(RecordId(self.get(key)?.as_object_id()?.bytes()))
    }

    pub(in super::super) fn token(&self, key: &str) -> Option<TokenKey> {
        TokenKey::parse(self.text(key)?)
    }

    pub(super) fn bytes(&self, key: &str) -> Option<&'a [u8]> {
        Some(self.get(key)?.as_binary()?.bytes)
    }

    pub(in super::super) fn instant(&self, key: &str) -> Option<OffsetDateTime> {
        let date = self.get(key)?.as_datetime()?;
        let nanos = i128::from(date.timestamp_millis()) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.get(key).and_then(RawBsonRef::as_bool) == Some(true)
    }

    /// A number that counts something: no fraction, and not below nought.
    pub(in super::super) fn count(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        let whole = |number: f64| {
            // What people write in a shell is a double.
            let is_whole = number.fract() == 0.0 && (0.0..=MOST_WHOLE).contains(&number);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole, and of 53 bits"
            )]
            is_whole.then_some(number as i64)
        };
        let integer = value.as_i64().or(value.as_i32().map(i64::from));
        let number = integer.or_else(|| value.as_f64().and_then(whole))?;
        u64::try_from(number).ok()
    }

    pub(super) fn document(&self, key: &str) -> Option<Fields<'a>> {
        self.get(key)?.as_document().map(Fields::of)
    }

    /// The elements of an array; none when the field is absent or something else.
    pub(super) fn elements(&self, key: &str) -> impl Iterator<Item = RawBsonRef<'a>> + use<'a> {
        let array = self.get(key).and_then(RawBsonRef::as_array);
        array.into_iter().flatten().map_while(Result::ok)
    }

    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.elements(key).filter_map(RawBsonRef::as_str)
    }

    pub(super) fn scope(&self, key: &str) -> Scope {
        self.texts(key).map(str::to_owned).collect()
    }
}
