//! The actor: which jobs wait, and which are in the air.

use futures_util::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::job::{Job, Lane};
use super::reach::{Probe, ping};
use super::secrets::{SecretUse, note_all};
use super::users::{LookUp, find_all};
use crate::actors::batch::{Batch, COMPANY, Gathered, Landed, launch};
use crate::actors::supervisor::surrounded::Kind;
use crate::stores::Truth;

/// Most of what logins ask for in one round trip: half the connections that a store has, so that a
/// flood of them never keeps refreshes and revocations waiting for one.
const LOGINS_PER_FLIGHT: usize = 32;
/// Most users that are looked up in one round trip.
const USERS_PER_FLIGHT: usize = 256;

/// Most uses of secrets that are noted at a time.
const USES_PER_FLIGHT: usize = 8;

pub(super) enum UserRegistryMessage {
    FindUser(LookUp),
    UsersDue,
    UsersLanded(Landed<()>),
    Job(Box<Job>),
    Landed(Landed<()>),
    KnownLanded(Landed<()>),
    ChangesLanded(Landed<()>),
    PagesLanded(Landed<()>),
    SecretUsed(SecretUse),
    UsesLanded(Landed<()>),
    Ping(Gathered<Probe>),
    PingLanded(Landed<()>),
}

impl Kind for UserRegistryMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::FindUser(_) => "find_user",
            Self::UsersDue => "users_due",
            Self::UsersLanded(_) => "users_landed",
            Self::Job(job) => job.kind(),
            Self::Landed(_) => "landed",
            Self::KnownLanded(_) => "known_landed",
            Self::ChangesLanded(_) => "changes_landed",
            Self::PagesLanded(_) => "pages_landed",
            Self::SecretUsed(_) => "secret_used",
            Self::UsesLanded(_) => "uses_landed",
            Self::Ping(_) => "ping",
            Self::PingLanded(_) => "ping_landed",
        }
    }
}

#[derive(Clone)]
pub(super) struct UserRegistryActor;

pub(super) struct State {
    truth: Truth,
    users: Batch<LookUp>,
    jobs: Batch<Job>,
    /// What refreshes need of a known client does not wait for a flood of others.
    known: Batch<Job>,
    /// To disable somebody must not wait for pages.
    changes: Batch<Job>,
    /// Pages for the console may take long; nobody's login waits for them.
    pages: Batch<Job>,
    /// What nobody waits for.
    uses: Batch<SecretUse>,
}

impl Actor for UserRegistryActor {
    type Msg = UserRegistryMessage;
    type State = State;
    type Arguments = Truth;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        truth: Truth,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            truth,
            users: Batch::new(),
            jobs: Batch::new(),
            known: Batch::new(),
            changes: Batch::new(),
            pages: Batch::new(),
            uses: Batch::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            UserRegistryMessage::FindUser(look_up) => {
                let remind = || drop(myself.send_after(COMPANY, || UserRegistryMessage::UsersDue));
                let haste = look_up.request.1;
                state.users.push_with(haste, look_up, remind);
            }
            UserRegistryMessage::UsersDue => state.users.be_due(),
            UserRegistryMessage::UsersLanded(landed) => state.users.land(landed)?,
            UserRegistryMessage::Job(job) => state.lane_of(&job).push(*job),
            UserRegistryMessage::Landed(landed) => state.jobs.land(landed)?,
            UserRegistryMessage::KnownLanded(landed) => state.known.land(landed)?,
            UserRegistryMessage::ChangesLanded(landed) => state.changes.land(landed)?,
            UserRegistryMessage::PagesLanded(landed) => state.pages.land(landed)?,
            UserRegistryMessage::SecretUsed(used) => state.uses.push(used),
            UserRegistryMessage::UsesLanded(landed) => state.uses.land(landed)?,
            UserRegistryMessage::Ping(probes) => {
                let flight = ping(state.truth.clone(), probes);
                launch(myself.clone(), flight, UserRegistryMessage::PingLanded);
            }
            UserRegistryMessage::PingLanded(landed) => landed.outcome()?,
        }
        state.take_off(&myself);
        Ok(())
    }
}

impl State {
    fn lane_of(&mut self, job: &Job) -> &mut Batch<Job> {
        match job.lane() {
            Lane::Logins => &mut self.jobs,
            Lane::Known => &mut self.known,
            Lane::Changes => &mut self.changes,
            Lane::Pages => &mut self.pages,
        }
    }

    fn take_off(&mut self, myself: &ActorRef<UserRegistryMessage>) {
        if let Some(look_ups) = self.users.take_off(USERS_PER_FLIGHT) {
            let flight = find_all(self.truth.clone(), look_ups);
            launch(myself.clone(), flight, UserRegistryMessage::UsersLanded);
        }
        if let Some(jobs) = self.jobs.take_off(LOGINS_PER_FLIGHT) {
            let flight = run_all(self.truth.clone(), jobs);
            launch(myself.clone(), flight, UserRegistryMessage::Landed);
        }
        if let Some(known) = self.known.take_off(usize::MAX) {
            let flight = run_all(self.truth.clone(), known);
            launch(myself.clone(), flight, UserRegistryMessage::KnownLanded);
        }
        if let Some(changes) = self.changes.take_off(usize::MAX) {
            let flight = run_all(self.truth.clone(), changes);
            launch(myself.clone(), flight, UserRegistryMessage::ChangesLanded);
        }
        if let Some(pages) = self.pages.take_off(usize::MAX) {
            let flight = run_all(self.truth.clone(), pages);
            launch(myself.clone(), flight, UserRegistryMessage::PagesLanded);
        }
        if let Some(uses) = self.uses.take_off(USES_PER_FLIGHT) {
            let flight = note_all(self.truth.clone(), uses);
            launch(myself.clone(), flight, UserRegistryMessage::UsesLanded);
        }
    }
}

async fn run_all(truth: Truth, jobs: Vec<Job>) {
    join_all(jobs.into_iter().map(|job| job.run(&truth))).await;
}
