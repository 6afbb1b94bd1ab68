//! Documents of `ended_tokens`: the memory of ends, and its marks.

use std::collections::HashSet;

use mongodb::bson::raw::{CStr, RawArrayBuf, cstr};
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use crate::domain::token::EndedToken;
use crate::domain::token_key::TokenKey;

use super::fields::Fields;
use super::{date, object_id};

/// Marks an end whose caller was not answered yet.
const UNANSWERED: &CStr = cstr!("unanswered");
/// Marks an end of which Redis was not told yet.
const UNPUBLISHED: &CStr = cstr!("unpublished");

/// The condition of an index of what Redis was not told yet.
pub(in super::super) fn is_unpublished() -> Document {
    doc! { UNPUBLISHED.as_str(): true }
}

/// The keys of the index that finds ends of which Redis was not told yet.
pub(in super::super) fn unpublished_in_order() -> Document {
    doc! { UNPUBLISHED.as_str(): 1, "expires": 1, "_id": 1 }
}

/// The updates that take marks off ends: both at once where both are to go.
pub(in super::super) fn settle(
    answered: &[TokenKey],
    published: &[TokenKey],
) -> Vec<RawDocumentBuf> {
    let both: HashSet<&TokenKey> = published.iter().collect();
    let (both, answered): (Vec<_>, Vec<_>) =
        answered.iter().partition(|token| both.contains(token));
    let done: HashSet<&TokenKey> = both.iter().copied().collect();
    let published = published.iter().filter(|token| !done.contains(token));
    let published: Vec<&TokenKey> = published.collect();
    let groups: [(&[&CStr], Vec<&TokenKey>); 3] = [
        (&[UNANSWERED, UNPUBLISHED], both),
        (&[UNANSWERED], answered),
        (&[UNPUBLISHED], published),
    ];
    let filled = groups.iter().filter(|(_, tokens)| !tokens.is_empty());
    filled
        .map(|(marks, tokens)| take_off(marks, tokens))
        .collect()
}

fn take_off(marks: &[&CStr], tokens: &[&TokenKey]) -> RawDocumentBuf {
    let tokens: RawArrayBuf = tokens.iter().map(|token| token.expose()).collect();
    let marks: RawDocumentBuf = marks.iter().map(|mark| (*mark, "")).collect();
    rawdoc! {
        "q": { "_id": { "$in": tokens } },
        "u": { "$unset": marks },
        "multi": true,
    }
}

/// The memory of an end.
pub(in super::super) fn write(end: &EndedToken) -> RawDocumentBuf {
    let mut memory = RawDocumentBuf::new();
    memory.append(cstr!("_id"), end.access_token.expose());
    memory.append(cstr!("family"), object_id(end.family));
    memory.append(cstr!("ended_at"), date(end.ended_at));
    memory.append(cstr!("expires"), date(end.access_expires_at));
    memory.append(cstr!("forget_at"), date(end.forget_at));
    if let Some(refresh_token) = &end.refresh_token {
        memory.append(cstr!("refresh_token"), refresh_token.expose());
    }
    // Marks are there only while there is something to do, so that their index is small.
    for (mark, is_settled) in [
        (UNANSWERED, end.is_answered),
        (UNPUBLISHED, end.is_published),
    ] {
        if !is_settled {
            memory.append(mark, true);
        }
    }
    memory
}

/// Reads the memory of an end; `None` when nobody writes it so.
pub(in super::super) fn read(document: &RawDocument) -> Option<EndedToken> {
    let document = Fields::of(document);
    Some(EndedToken {
        access_token: document.token("_id")?,
        refresh_token: document.token("refresh_token"),
        family: document.record_id("family")?,
        ended_at: document.instant("ended_at")?,
        access_expires_at: document.instant("expires")?,
        forget_at: document.instant("forget_at")?,
        is_answered: !document.has(UNANSWERED.as_str()),
        is_published: !document.has(UNPUBLISHED.as_str()),
    })
}
