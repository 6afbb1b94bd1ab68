//! Memory of a server: when it has just been started, for an idle connection, and for a token in
//! its local copy. Each is that of a process of its own: what one has given back to its allocator
//! would hide what the next one takes.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use warp_sentinel::clock::Clock;
use warp_sentinel::stores::embedded;

use super::Outcome;
use super::client::{Connection, Dialer};
use super::plan::Plan;
use super::process::{Process, Role};
use super::report::{Report, Target, count};
use super::sessions::{self, Session};
use super::stores::Stores;

/// A fresh server keeps below this, in MiB.
const LIMIT_MIB: f64 = 16.0;
/// An idle TLS connection that has made a request costs less than this, in KiB.
const CONNECTION_LIMIT_KIB: f64 = 40.0;
/// A token of the local copy costs less than this.
const TOKEN_LIMIT_BYTES: f64 = 300.0;
/// For what is left to be done behind a start or an answer.
const SETTLING: Duration = Duration::from_secs(1);
/// The part of the tokens that is verified before it counts: buffers and connections grow with it.
const WARM_UP_PART: usize = 5;

/// Measures servers on the embedded store and on `stores`.
///
/// # Errors
/// When the system does not tell, or a request is not answered as it should be.
pub(crate) fn measure(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
    report: &mut Report,
) -> Outcome<()> {
    for stores in std::iter::once(None).chain(stores.map(Some)) {
        let role = stores.map_or(Role::Embedded, |own| Role::MongoDb(own.beside("memory")));
        measure_connections(plan, runtime, &Process::start(role)?, report)?;
        measure_tokens(plan, runtime, stores, report)?;
    }
    Ok(())
}

fn measure_connections(
    plan: &Plan,
    runtime: &Runtime,
    server: &Process,
    report: &mut Report,
) -> Outcome<()> {
    let name = server.role.name();
    let idle = settled_kib(runtime, server)?;
    let label = format!("memory/idle_mib/{name}");
    report.judge(label, idle / 1_024.0, Target::Below(LIMIT_MIB));
    let held = runtime.block_on(hold(server, plan.idle_connections))?;
    let grown = settled_kib(runtime, server)? - idle;
    if !held.iter().all(Connection::is_open) {
        return Err("the server closed an idle connection: may it open too few files?".into());
    }
    let each = grown / count(held.len());
    let label = format!("memory/connection_kib/{name}");
    report.judge(label, each, Target::Below(CONNECTION_LIMIT_KIB));
    Ok(())
}

fn measure_tokens(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
    report: &mut Report,
) -> Outcome<()> {
    let (server, sessions) = start_with_sessions(plan, runtime, stores)?;
    let mut connections = runtime.block_on(hold(&server, plan.connections))?;
    let (warm_up, rest) = sessions.split_at(sessions.len() / WARM_UP_PART);
    let mut kib = Vec::new();
    for sessions in [warm_up, rest] {
        // What the truth told is kept when it is read from Redis, the second time.
        for _ in 0..2 {
            connections = runtime.block_on(verify_all(connections, sessions))?;
        }
        kib.push(settled_kib(runtime, &server)?);
    }
    let each = (kib[1] - kib[0]) * 1_024.0 / count(rest.len());
    let label = format!("memory/token_bytes/{}", server.role.name());
    report.judge(label, each, Target::Below(TOKEN_LIMIT_BYTES));
    Ok(())
}

/// A server, and live tokens in its store. Only the embedded one has to be written before the
/// start: written afterwards, tokens are not put into Redis behind it.
fn start_with_sessions(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
) -> Outcome<(Process, Vec<Session>)> {
    let Some(stores) = stores else {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("data/sentinel.redb");
        let truth = embedded::open(&file, &Clock::default())?;
        let sessions = runtime.block_on(sessions::write(&truth, plan.tokens))?;
        drop(truth);
        return Ok((Process::start_in(folder, Role::Embedded)?, sessions));
    };
    let stores = stores.beside("tokens");
    let server = Process::start(Role::MongoDb(stores.clone()))?;
    let sessions = runtime.block_on(async {
        let truth = stores.open().await?;
        sessions::write(&truth, plan.tokens).await
    })?;
    Ok((server, sessions))
}

/// Opens connections, each of which makes one request.
async fn hold(server: &Process, count: usize) -> Outcome<Vec<Connection>> {
    let dialer = Dialer::new(server)?.forgetful();
    let mut held = Vec::new();
    for _ in 0..count {
        let mut connection = dialer.dial().await?;
        connection.get("/healthz").await?;
        held.push(connection);
    }
    Ok(held)
}

async fn verify_all(
    connections: Vec<Connection>,
    sessions: &[Session],
) -> Outcome<Vec<Connection>> {
    let share = sessions.len().div_ceil(connections.len()).max(1);
    let mut shares = sessions.chunks(share);
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let own = shares.next().unwrap_or_default();
        let bearer = |session: &Session| format!("Bearer {}", session.access_token);
        let own: Vec<String> = own.iter().map(bearer).collect();
        tasks.spawn(async move {
            for authorization in own {
                connection.verify_patiently(&authorization).await?;
            }
            Outcome::Ok(connection)
        });
    }
    let mut connections = Vec::new();
    while let Some(done) = tasks.join_next().await {
        connections.push(done??);
    }
    Ok(connections)
}

fn settled_kib(runtime: &Runtime, server: &Process) -> Outcome<f64> {
    runtime.block_on(async { tokio::time::sleep(SETTLING).await });
    Ok(f64::from(u32::try_from(server.resident_kib()?)?))
}
