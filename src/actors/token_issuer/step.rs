//! A decision: what is to be written, published and answered for one job.

use super::request::RefreshGrant;
use crate::domain::error::GrantError;
use crate::domain::token::{Grant, GrantUser, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::token_pair::TokenPair;
use crate::stores::TokenWrite;
use crate::stores::redis::connection::Publication;

/// What is to be written, and what is to be answered.
pub(super) enum Step {
    /// Nothing is to be written: this is the answer.
    Refuse(GrantError),
    /// Nothing is to be written: this is what a refresh token stands for.
    Tell(Option<RefreshGrant>),
    /// Write a pair, in place of one or not.
    Put(Box<Put>),
    /// Answer with a pair that was written before, whose answer was lost. Redis may not have been
    /// told of it, nor that the access token it replaced has ended.
    Repeat(Box<Put>),
    /// End these pairs; then answer so. The token itself goes from Redis in any case, and what
    /// another server ended before without being able to tell Redis.
    End {
        ended: Vec<TokenRecord>,
        token: Option<TokenKey>,
        unpublished: Vec<TokenKey>,
        answer: Result<(), GrantError>,
    },
}

/// A pair to be written, in the place of another or not.
pub(super) struct Put {
    pub(super) record: TokenRecord,
    /// What the client gets, of which the record may have hashes only.
    pub(super) pair: TokenPair,
    /// `None` where a pair is refreshed.
    pub(super) basis: Option<Basis>,
    user: Option<GrantUser>,
    replaced: Option<TokenRecord>,
}

/// What the pair of a login is written on: how often the tokens of its user and of its client had been
/// ended when they were read for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis {
    /// `None` for a token that a client gets for itself.
    pub(super) user: Option<u64>,
    pub(super) client: u64,
}

impl Step {
    /// Writes a pair.
    pub(super) fn put(
        (record, pair): (TokenRecord, TokenPair),
        (user, basis): (Option<GrantUser>, Option<Basis>),
        replaced: Option<TokenRecord>,
    ) -> Self {
        Self::Put(Box::new(Put {
            record,
            pair,
            basis,
            user,
            replaced,
        }))
    }

    /// Tells of a pair once more.
    pub(super) fn repeat(
        (record, pair): (TokenRecord, TokenPair),
        user: Option<GrantUser>,
    ) -> Self {
        Self::Repeat(Box::new(Put {
            record,
            pair,
            basis: None,
            user,
            replaced: None,
        }))
    }

    /// Ends a pair that was just written, since what it was written on does not hold any more.
    pub(super) fn take_back(record: TokenRecord, refusal: GrantError) -> Self {
        Self::End {
            ended: vec![record],
            token: None,
            unpublished: Vec::new(),
            answer: Err(refusal),
        }
    }

    /// Whether something is refused or told as done because it was not found: no majority of the truth
    /// has confirmed that, nor that it is not there in another form.
    pub(super) fn rests_on_absence(&self) -> bool {
        match self {
            Self::Refuse(error) => matches!(error, GrantError::InvalidGrant),
            // Another server may have hashed the pair that is still good, and not its end.
            Self::End { ended, answer, .. } => ended.is_empty() || answer.is_err(),
            Self::Tell(_) | Self::Put(_) | Self::Repeat(_) => false,
        }
    }

    /// The record of a new pair.
    pub(super) fn new_record(&self) -> Option<&TokenRecord> {
        match self {
            Self::Put(put) => Some(&put.record),
            Self::Refuse(_) | Self::Tell(_) | Self::Repeat(_) | Self::End { .. } => None,
        }
    }

    /// The record that the fast copy is told of. A token without a user never is: a program that
    /// reads Redis would take its bearer for one.
    pub(super) fn told(&self) -> Option<&TokenRecord> {
        self.new_record().filter(|record| record.user_id.is_some())
    }

    /// The records that it ends.
    pub(super) fn ended(&self) -> Vec<&TokenRecord> {
        match self {
            Self::Refuse(_) | Self::Tell(_) | Self::Repeat(_) => Vec::new(),
            Self::Put(put) => put.replaced.iter().collect(),
            Self::End { ended, .. } => ended.iter().collect(),
        }
    }

    /// What it writes to the truth.
    pub(super) fn writes(&self) -> Vec<TokenWrite> {
        match self {
            Self::Refuse(_) | Self::Tell(_) | Self::Repeat(_) => Vec::new(),
            Self::Put(put) => vec![put.write()],
            Self::End { ended, .. } => ended
                .iter()
                .map(|record| TokenWrite::Delete {
                    expected: record.into(),
                })
                .collect(),
        }
    }

    /// What it changes in the fast copy.
    pub(super) fn publication(&self) -> Publication {
        match self {
            Self::Refuse(_) | Self::Tell(_) => Publication::default(),
            Self::Put(put) => Publication {
                set: self
                    .told()
                    .map(|record| (record.access_token.clone(), put.grant()))
                    .into_iter()
                    .collect(),
                delete: put.replaced.iter().flat_map(dead_with).collect(),
            },
            // Its access token is known: set from here, it might outlive its end. It is put back.
            Self::Repeat(pair) => Publication {
                set: Vec::new(),
                delete: pair.record.replaced.iter().cloned().collect(),
            },
            Self::End {
                ended,
                token,
                unpublished,
                ..
            } => {
                let mut delete: Vec<TokenKey> = ended.iter().flat_map(dead_with).collect();
                for token in unpublished.iter().chain(token) {
                    if !delete.contains(token) {
                        delete.push(token.clone());
                    }
                }
                Publication {
                    set: Vec::new(),
                    delete,
                }
            }
        }
    }
}

// A record that ends takes its predecessor along: the server that replaced that one may have died
// before it could tell Redis.
fn dead_with(record: &TokenRecord) -> impl Iterator<Item = TokenKey> + use<> {
    let own = std::iter::once(record.access_token.clone());
    own.chain(record.replaced.clone())
}

impl Put {
    fn grant(&self) -> Grant {
        Grant {
            user: self.user.clone(),
            client_id: self.record.client_id.clone(),
            scope: self.record.scope.clone(),
            issued_at: self.record.issued_at,
            expires_at: self.record.expires_at,
        }
    }

    fn write(&self) -> TokenWrite {
        let record = self.record.clone();
        match &self.replaced {
            None => TokenWrite::Insert(record),
            Some(replaced) => TokenWrite::Replace {
                expected: replaced.into(),
                record,
            },
        }
    }
}
