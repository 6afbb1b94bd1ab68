//! The actor of one shard: what arrives, what is in the air, and the state of its connection.

pub(super) mod message;
pub(super) mod range;

mod catch_up;
mod changes;
mod connection;
mod look_ups;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::actors::batch::{Batch, Gathered, Gathering};
use crate::actors::token_cache::catch_up::Restoring;
use crate::actors::token_cache::flight::{Change, Flights, LookUp};
use crate::actors::token_cache::local_copy::{LocalCopy, Source};
use crate::actors::token_cache::losses::Losses;
use crate::domain::token_key::TokenKey;
use crate::stores::redis::connection::RedisConnection;
use crate::stores::redis::continuity::Continuity;
use crate::stores::redis::endpoints::RedisEndpoint;
use message::TokenCacheMessage;
use range::ShardRange;

/// The delay before the second attempt to connect; it doubles up to [`LAST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay between attempts to connect.
const LAST_DELAY: Duration = Duration::from_secs(1);

/// Between two signs of life of a connection. A network that swallows everything ends none, and a
/// local copy that hears nothing would serve ended tokens; a primary may become a replica.
const BEAT: Duration = Duration::from_millis(100);
/// How long a sign of life may take: together with the pause before it less than the 250 ms that a
/// server may take to obey, and more than a look-up has, since who lets a busy machine wait for this
/// keeps nobody waiting.
const BEAT_ANSWER: Duration = Duration::from_millis(135);

#[derive(Clone)]
pub(super) struct TokenCacheActor;

#[derive(Clone)]
pub(super) struct Arguments {
    pub(super) endpoint: Option<RedisEndpoint>,
    pub(super) range: ShardRange,
    /// The range of the whole endpoint, where this is its first shard: that one does what is to be
    /// done once for each Redis.
    pub(super) first_of: Option<ShardRange>,
    pub(super) local: Arc<LocalCopy>,
    /// The look-ups that go to Redis next.
    pub(super) gathering: Gathering<LookUp>,
    /// What the Redis of this endpoint may lack.
    pub(super) losses: Arc<Losses>,
    pub(super) connected: Arc<watch::Sender<bool>>,
    pub(super) flights: Flights,
}

pub(super) struct State {
    arguments: Arguments,
    connection: Connection,
    /// The number of the connection, to tell a late event of an earlier one.
    number: u64,
    /// The number of the last connection that was lost.
    lost: u64,
    /// What the next connection is compared with: the one that was trusted last, unless what it was
    /// trusted for is in doubt.
    earlier: Option<Continuity>,
    /// What time it was when the remembered ends were carried out there: those of tokens that had
    /// expired by then were left out.
    replayed_at: OffsetDateTime,
    delay: Duration,
    look_ups: Batch<Gathered<LookUp>>,
    missing: Batch<LookUp>,
    changes: Batch<Change>,
    connects: Batch<()>,
    beats: Batch<u64>,
    catching_up: Batch<u64>,
    restores: Batch<Restoring>,
    /// The number of the latest look for live tokens that Redis lost.
    restore_number: u64,
    /// The losses that this look makes good if it goes through all.
    restore_losses: u64,
    /// Whether one is under way.
    is_restoring: bool,
    /// When the last one ended.
    restored_at: Instant,
    /// Ends that came without a connection, or failed: a connect may do without the memory of ends, or
    /// have read it before they were in it.
    owed: Vec<TokenKey>,
}

impl Drop for State {
    // When the actor dies its connection goes, and with it the word of changes elsewhere.
    fn drop(&mut self) {
        self.arguments.local.distrust(self.number);
    }
}

enum Connection {
    Down,
    Up(Arc<RedisConnection>),
}

impl Actor for TokenCacheActor {
    type Msg = TokenCacheMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        // Whatever an earlier life of this actor trusted, its connection is not ours.
        arguments.local.trust(Source::None);
        arguments.connected.send_replace(false);
        myself.cast(TokenCacheMessage::Connect)?;
        Ok(State {
            arguments,
            connection: Connection::Down,
            number: 0,
            lost: 0,
            earlier: None,
            replayed_at: OffsetDateTime::UNIX_EPOCH,
            delay: FIRST_DELAY,
            look_ups: Batch::new(),
            missing: Batch::new(),
            changes: Batch::new(),
            connects: Batch::new(),
            beats: Batch::new(),
            catching_up: Batch::new(),
            restores: Batch::new(),
            restore_number: 0,
            restore_losses: 0,
            is_restoring: false,
            restored_at: Instant::now(),
            owed: Vec::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TokenCacheMessage::LookUp(calls) => state.look_up(calls),
            TokenCacheMessage::Change(call) => state.changes.push(call),
            TokenCacheMessage::RedisLanded(landed) => state.redis_landed(landed, &myself)?,
            TokenCacheMessage::TruthLanded(landed) => state.truth_landed(landed, &myself)?,
            TokenCacheMessage::ChangeLanded(landed) => state.change_landed(landed, &myself)?,
            TokenCacheMessage::Connect => state.connects.push(()),
            TokenCacheMessage::Connected(landed) => state.connected(landed, &myself)?,
            TokenCacheMessage::Disconnected(number) => state.disconnected(number, &myself),
            TokenCacheMessage::StartOver => state.start_over(&myself),
            TokenCacheMessage::Beat(number) => state.beat(number),
            TokenCacheMessage::BeatLanded(landed) => state.beat_landed(landed, &myself)?,
            TokenCacheMessage::CatchUp(number) => state.catch_up(number, &myself),
            TokenCacheMessage::CaughtUp(landed) => state.caught_up(landed, &myself)?,
            TokenCacheMessage::Flushed(number) => state.flushed(number),
            TokenCacheMessage::RestoreOn(at) => state.restore_on(at),
            TokenCacheMessage::Restored(landed) => state.restored(landed, &myself)?,
        }
        state.take_off(&myself);
        Ok(())
    }
}

impl State {
    fn take_off(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        self.take_off_connect(myself);
        self.take_off_changes(myself);
        self.take_off_beat(myself);
        self.take_off_catch_up(myself);
        self.take_off_restore(myself);
        self.take_off_look_ups(myself);
    }

    fn redis(&self) -> Option<Arc<RedisConnection>> {
        match &self.connection {
            Connection::Up(redis) => Some(Arc::clone(redis)),
            Connection::Down => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fell_silent_is_noticed_within_the_time_to_obey() {
        let noticed = BEAT + BEAT_ANSWER;
        assert!(noticed < Duration::from_millis(250), "{noticed:?}");
    }
}
