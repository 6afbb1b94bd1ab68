//! Documents of `ended_tokens`: the ends of a round, and its marks.
//!
//! A round has two marks, each there while there is something to do for any of its ends. A second field
//! names these ends; without it they are all of the round.

use std::collections::HashSet;

use mongodb::bson::raw::{CStr, RawArrayBuf, cstr};
use mongodb::bson::{Document, RawBson, RawDocument, RawDocumentBuf, doc, rawdoc};
use time::OffsetDateTime;

use crate::domain::token::{EndedToken, RecordId, RoundId};
use crate::domain::token_key::TokenKey;
use crate::stores::ends::{EndsMark, SettledEnds, SettledRounds};

use super::fields::Fields;
use super::{date, object_id};

/// A mark of ends for which something is to be done.
struct Mark {
    /// The mark.
    any: &'static CStr,
    /// The access tokens that it is about, where it is not about all of the round.
    of: &'static CStr,
}

/// Their callers were not answered yet.
const UNANSWERED: Mark = Mark {
    any: cstr!("unanswered"),
    of: cstr!("unanswered_of"),
};
/// Redis was not told of them yet.
const UNPUBLISHED: Mark = Mark {
    any: cstr!("unpublished"),
    of: cstr!("unpublished_of"),
};

/// A round as it is read.
pub(in super::super) struct EndedRound {
    /// By which it is ordered: when the last of its access tokens would have expired, and its name.
    pub(in super::super) mark: EndsMark,
    /// Its ends.
    pub(in super::super) ends: Vec<EndedToken>,
}

/// The condition of an index of what Redis was not told yet.
pub(in super::super) fn is_unpublished() -> Document {
    doc! { UNPUBLISHED.any.as_str(): true }
}

/// The keys of the index that finds rounds of which Redis was not told yet.
pub(in super::super) fn unpublished_in_order() -> Document {
    doc! { UNPUBLISHED.any.as_str(): 1, "expires": 1, "_id": 1 }
}

/// The updates that remember ends. A round that is there already stays as it is.
pub(in super::super) fn remember(ends: &[EndedToken]) -> Vec<RawDocumentBuf> {
    let mut ends: Vec<&EndedToken> = ends.iter().collect();
    ends.sort_by_key(|end| end.round.0);
    let rounds = ends.chunk_by(|one, next| one.round == next.round);
    let named = rounds.filter_map(|ends| Some((ends.first()?.round, ends)));
    let update = |(round, ends): (RoundId, &[&EndedToken])| {
        rawdoc! {
            "q": { "_id": object_id(round) },
            "u": { "$setOnInsert": write(round, ends) },
            "upsert": true,
        }
    };
    named.map(update).collect()
}

fn write(round: RoundId, ends: &[&EndedToken]) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), object_id(round));
    let latest = |instant: fn(&EndedToken) -> OffsetDateTime| {
        let instants = ends.iter().map(|end| instant(end));
        instants.max()
    };
    for (field, instant) in [
        (cstr!("expires"), latest(|end| end.access_expires_at)),
        (cstr!("forget_at"), latest(|end| end.forget_at)),
    ] {
        if let Some(instant) = instant {
            document.append(field, date(instant));
        }
    }
    append_mark(&mut document, &UNANSWERED, ends, |end| end.is_answered);
    append_mark(&mut document, &UNPUBLISHED, ends, |end| end.is_published);
    let ends: RawArrayBuf = ends.iter().map(|end| write_end(end)).collect();
    document.append(cstr!("ends"), ends);
    document
}

// It is there only while there is something to do, so that its index is small.
fn append_mark(
    document: &mut RawDocumentBuf,
    mark: &Mark,
    ends: &[&EndedToken],
    is_settled: fn(&EndedToken) -> bool,
) {
    let left = ends.iter().filter(|end| !is_settled(end));
    let left: Vec<&str> = left.map(|end| end.access_token.expose()).collect();
    if left.is_empty() {
        return;
    }
    document.append(mark.any, true);
    if left.len() < ends.len() {
        let left: RawArrayBuf = left.into_iter().collect();
        document.append(mark.of, left);
    }
}

fn write_end(end: &EndedToken) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("access_token"), end.access_token.expose());
    if let Some(refresh_token) = &end.refresh_token {
        document.append(cstr!("refresh_token"), refresh_token.expose());
    }
    document.append(cstr!("family"), object_id(end.family));
    document.append(cstr!("ended_at"), date(end.ended_at));
    document.append(cstr!("expires"), date(end.access_expires_at));
    document
}

/// Reads a round, with those of its ends that can be read; `None` when it is none.
pub(in super::super) fn read(document: &RawDocument) -> Option<EndedRound> {
    let fields = Fields::of(document);
    let round = fields.record_id("_id")?;
    let unanswered = Marked::read(&fields, &UNANSWERED);
    let unpublished = Marked::read(&fields, &UNPUBLISHED);
    let forget_at = fields.instant("forget_at");
    let ends = fields.elements("ends").filter_map(|end| {
        let end = Fields::of(end.as_document()?);
        let access_token = end.token("access_token")?;
        Some(EndedToken {
            is_answered: !unanswered.has(&access_token),
            is_published: !unpublished.has(&access_token),
            refresh_token: end.token("refresh_token"),
            family: end.record_id("family")?,
            ended_at: end.instant("ended_at")?,
            access_expires_at: end.instant("expires")?,
            forget_at: forget_at?,
            round,
            access_token,
        })
    });
    Some(EndedRound {
        ends: ends.collect(),
        mark: EndsMark {
            expires_at: fields
                .instant("expires")
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
            name: object_id(round).to_hex(),
        },
    })
}

/// Which ends of a round are marked.
enum Marked<'d> {
    None,
    All,
    Some(HashSet<&'d str>),
}

impl<'d> Marked<'d> {
    fn read(document: &Fields<'d>, mark: &Mark) -> Self {
        if !document.has(mark.any.as_str()) {
            return Self::None;
        }
        match document.get(mark.of.as_str()) {
            None => Self::All,
            Some(_) => Self::Some(document.texts(mark.of.as_str()).collect()),
        }
    }

    fn has(&self, access_token: &TokenKey) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(tokens) => tokens.contains(access_token.expose()),
        }
    }
}

/// The updates that take marks off ends.
pub(in super::super) fn settle(rounds: &SettledRounds) -> Vec<RawDocumentBuf> {
    let mut updates = Vec::new();
    for (round, settled) in rounds {
        if settled.is_whole() {
            updates.push(take_off_all(*round));
            continue;
        }
        let SettledEnds {
            answered,
            published,
            ..
        } = settled;
        for (mark, tokens) in [(&UNANSWERED, answered), (&UNPUBLISHED, published)] {
            if !tokens.is_empty() {
                updates.push(take_off(mark, *round, tokens));
            }
        }
    }
    updates
}

fn take_off_all(round: RoundId) -> RawDocumentBuf {
    let mut marks = RawDocumentBuf::new();
    for Mark { any, of } in [UNANSWERED, UNPUBLISHED] {
        marks.append(any, "");
        marks.append(of, "");
    }
    rawdoc! { "q": { "_id": object_id(round) }, "u": { "$unset": marks } }
}

// Which are left is computed by the server: another one may take off marks of the same round.
fn take_off(mark: &Mark, round: RecordId, tokens: &[TokenKey]) -> RawDocumentBuf {
    let path = |field: &CStr| format!("${}", field.as_str());
    let tokens: RawArrayBuf = tokens.iter().map(TokenKey::expose).collect();
    let marked = rawdoc! { "$ifNull": [path(mark.of), "$ends.access_token"] };
    let unless_none = |value: RawBson| {
        rawdoc! { "$cond": [{ "$eq": [path(mark.of), []] }, "$$REMOVE", value] }
    };
    let mut left = RawDocumentBuf::new();
    left.append(mark.of, rawdoc! { "$setDifference": [marked, tokens] });
    let mut cleared = RawDocumentBuf::new();
    cleared.append(mark.any, unless_none(RawBson::Boolean(true)));
    cleared.append(mark.of, unless_none(RawBson::String(path(mark.of))));
    let mut marked = rawdoc! { "_id": object_id(round) };
    marked.append(mark.any, true);
    rawdoc! { "q": marked, "u": [{ "$set": left }, { "$set": cleared }] }
}
