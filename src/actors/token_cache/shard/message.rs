//! What a shard is told.

use super::catch_up::{CaughtUp, Restored};
use super::changes::ChangeOutcome;
use super::connection::{Beaten, Connected};
use crate::actors::batch::{Gathered, Landed};
use crate::actors::supervisor::surrounded::Kind;
use crate::actors::token_cache::catch_up::Restoring;
use crate::actors::token_cache::flight::{Change, LookUp, RedisOutcome, TruthOutcome};
use crate::stores::error::StoreError;

/// What a shard is told.
pub(in crate::actors::token_cache) enum TokenCacheMessage {
    LookUp(Gathered<LookUp>),
    Change(Change),
    RedisLanded(Landed<(u64, RedisOutcome)>),
    TruthLanded(Landed<(u64, TruthOutcome)>),
    ChangeLanded(Landed<ChangeOutcome>),
    Connect,
    Connected(Landed<Result<Connected, StoreError>>),
    Disconnected(u64),
    StartOver,
    Beat(u64),
    BeatLanded(Landed<Beaten>),
    CatchUp(u64),
    CaughtUp(Landed<CaughtUp>),
    Flushed(u64),
    RestoreOn(Restoring),
    Restored(Landed<Restored>),
}

impl Kind for TokenCacheMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::LookUp(_) => "look_up",
            Self::Change(_) => "change",
            Self::RedisLanded(_) => "redis_landed",
            Self::TruthLanded(_) => "truth_landed",
            Self::ChangeLanded(_) => "change_landed",
            Self::Connect => "connect",
            Self::Connected(_) => "connected",
            Self::Disconnected(_) => "disconnected",
            Self::StartOver => "start_over",
            Self::Beat(_) => "beat",
            Self::BeatLanded(_) => "beat_landed",
            Self::CatchUp(_) => "catch_up",
            Self::CaughtUp(_) => "caught_up",
            Self::Flushed(_) => "flushed",
            Self::RestoreOn(_) => "restore_on",
            Self::Restored(_) => "restored",
        }
    }
}
