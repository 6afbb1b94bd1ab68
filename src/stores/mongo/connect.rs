//! Reaching MongoDB: the options that must not be left to the driver, and the wait at start.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, HostInfo, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use tokio::time::Instant;

use crate::settings::MongoSettings;
use crate::telemetry::chain::Chain;

use super::super::error::{OpenError, StoreError};
use super::{OPERATION_DEADLINE, STORE, WRITE_TIMEOUT};

/// How long we try to reach a server at start, whatever the connection string says.
const REACH_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two attempts, which fail at once where a name does not resolve.
const PAUSE: Duration = Duration::from_millis(250);
/// The driver's 30 s would hold each request while no server is there.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often each server is asked for a sign of life; the driver takes no less. A server that has
/// fallen silent is noticed after this and the connect timeout, one that is back after this: with
/// the driver's 10 s each connection to a silent server would have to be waited for by itself.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// A connection that nobody used for so long may have been forgotten by a firewall on its way,
/// which then swallows what is sent over it. The usual ones forget after minutes.
const IDLE_LIMIT: Duration = Duration::from_mins(1);
/// The driver's 10 would throttle the reads of many logins.
const POOL_SIZE: u32 = 64;
/// Members of a replica set that are reckoned with where they are not named.
const USUAL_MEMBERS: usize = 3;

/// A client that has reached its server.
pub(super) async fn connect(settings: &MongoSettings) -> Result<Client, OpenError> {
    connect_within(settings, REACH_WITHIN).await
}

async fn connect_within(settings: &MongoSettings, limit: Duration) -> Result<Client, OpenError> {
    let uri = parse(settings.uri.expose())?;
    let address = address(&uri);
    let deadline = Instant::now() + limit;
    let mut reason = String::from("no answer");
    while Instant::now() < deadline {
        match tokio::time::timeout_at(deadline, reach(uri.clone(), settings)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) if is_final(&error) => {
                return Err(OpenError::Unusable(format!(
                    "{STORE} at {address}: {error}"
                )));
            }
            Ok(Err(error)) => reason = brief(&error.to_string()),
            Err(_) => break,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(OpenError::Unreachable {
        store: STORE,
        address,
        seconds: limit.as_secs(),
        reason,
    })
}

/// Why a server that was reached cannot be used.
pub(super) fn unusable(settings: &MongoSettings, error: &StoreError) -> OpenError {
    let reason = Chain(error).to_string();
    if matches!(error, StoreError::Corrupt { .. }) {
        return OpenError::Unusable(reason);
    }
    let uri = ConnectionString::parse(settings.uri.expose());
    OpenError::Unreachable {
        store: STORE,
        address: uri.as_ref().map(address).unwrap_or_default(),
        seconds: OPERATION_DEADLINE.as_secs(),
        reason,
    }
}

/// What the driver says of the first server, without the rest of what it knows.
pub(super) fn brief(text: &str) -> String {
    let of_server = text.split_once("Error: ").map_or(text, |(_, rest)| rest);
    let of_server = of_server.split(", labels").next().unwrap_or(of_server);
    of_server.trim_start_matches("Kind: ").to_owned()
}

fn parse(uri: &str) -> Result<ConnectionString, OpenError> {
    ConnectionString::parse(uri).map_err(|error| {
        // A password with a bare `/`, `:` or `@` is taken for a part of the address, and the
        // driver would quote it.
        let reason = if uri.contains('@') {
            "percent-encode special characters in the user name and password, and check the \
             options"
                .to_owned()
        } else {
            error.to_string()
        };
        OpenError::Unusable(format!(
            "the MongoDB connection string is not valid: {reason}"
        ))
    })
}

/// Host and port of each server, without user name and password.
fn address(uri: &ConnectionString) -> String {
    match &uri.host_info {
        HostInfo::HostIdentifiers(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            hosts.join(", ")
        }
        HostInfo::DnsRecord(name) => name.clone(),
        _ => String::from("an unnamed address"),
    }
}

/// One attempt: looks up the servers, connects and asks for a sign of life.
async fn reach(uri: ConnectionString, settings: &MongoSettings) -> Result<Client, Error> {
    let mut options = ClientOptions::parse(uri).await?;
    apply(settings, &mut options);
    let client = Client::with_options(options)?;
    let ping = doc! { "ping": 1 };
    client
        .database(&settings.database)
        .run_command(ping)
        .await?;
    Ok(client)
}

fn apply(settings: &MongoSettings, options: &mut ClientOptions) {
    let selection = settings.server_selection_timeout;
    options.server_selection_timeout = selection
        .or(options.server_selection_timeout)
        .or(Some(SERVER_SELECTION_TIMEOUT));
    options.connect_timeout = settings
        .connect_timeout
        .or(options.connect_timeout)
        .or(Some(CONNECT_TIMEOUT));
    options.heartbeat_freq = options.heartbeat_freq.or(Some(HEARTBEAT));
    options.max_idle_time = options.max_idle_time.or(Some(IDLE_LIMIT));
    options.max_pool_size = options.max_pool_size.or(Some(POOL_SIZE));
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options
        .app_name
        .get_or_insert_with(|| String::from("warp-sentinel"));
    // What a majority has is never rolled back: nothing is answered on less. A primary that was
    // deposed and does not know it yet may still answer such a read with what was true before; for
    // that it must be cut off from the majority and reachable for us. No write to it follows from it,
    // since a majority refuses to confirm it; the driver turns away from it as soon as it sees its
    // successor; and after the election timeout it steps down by itself. A linearizable read closes
    // this gap for the price of a majority write: it is made where a refresh or a revocation would
    // be decided on what was not found, and where a token is put back into Redis
    // (`confirm_primary`), and not for each look-up.
    options.read_concern = Some(ReadConcern::majority());
    // A single server acknowledges before the journal unless told otherwise.
    let write_concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(WRITE_TIMEOUT);
    options.write_concern = Some(write_concern.build());
}

/// See [`super::most_connections`].
pub(super) fn most_connections(settings: &MongoSettings) -> usize {
    let uri = ConnectionString::parse(settings.uri.expose()).ok();
    let named = uri.as_ref().map_or(1, |uri| match &uri.host_info {
        HostInfo::HostIdentifiers(hosts) => hosts.len(),
        _ => USUAL_MEMBERS,
    });
    let is_set = named > 1 || uri.as_ref().is_some_and(|uri| uri.replica_set.is_some());
    let (members, primaries) = if is_set {
        (named.max(USUAL_MEMBERS), 2)
    } else {
        (1, 1)
    };
    // Zero is no bound; more than the usual are never busy at once.
    let pool = uri
        .and_then(|uri| uri.max_pool_size)
        .filter(|size| *size > 0);
    let pool = usize::try_from(pool.unwrap_or(POOL_SIZE)).unwrap_or(usize::MAX);
    pool.saturating_mul(primaries).saturating_add(2 * members)
}

/// Whether another attempt would fail in the same way.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind.as_ref(),
        ErrorKind::Authentication { .. }
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::InvalidTlsConfig { .. }
            | ErrorKind::IncompatibleServer { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::secret::Secret;

    fn settings(uri: &str) -> MongoSettings {
        MongoSettings {
            uri: Secret::new(uri),
            database: "oauth".to_owned(),
            connect_timeout: None,
            server_selection_timeout: None,
        }
    }

    #[test]
    fn a_reason_is_what_happened_to_the_first_server() {
        let dump = "Kind: Server selection timeout: No available servers. Topology: { Type: \
                    Unknown, Servers: [ { Address: 127.0.0.1:1, Type: Unknown, Error: Kind: I/O \
                    error: Connection refused (os error 111), labels: {}, source: None } ] }";
        assert_eq!(brief(dump), "I/O error: Connection refused (os error 111)");
        assert_eq!(brief("Kind: something else"), "something else");
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named_without_its_credentials() {
        // Port 1 of the loopback is not listened on.
        let settings = settings("mongodb://anna:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=50");
        let refused = connect_within(&settings, Duration::from_millis(200)).await;
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("127.0.0.1:1"), "{message}");
        assert!(!message.contains("anna") && !message.contains("hunter2"));
    }

    #[tokio::test]
    async fn a_bad_connection_string_is_refused_without_its_password() {
        for uri in [
            "mongodb://anna:hun/ter2@127.0.0.1",
            "mongodb://a:hun@ter2@h",
            "ftp://h",
        ] {
            let refused = connect_within(&settings(uri), Duration::from_millis(200)).await;
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("connection string"), "{message}");
            assert!(
                !message.contains("ter2") && !message.contains("hun"),
                "{message}"
            );
        }
    }

    #[tokio::test]
    async fn a_weaker_write_concern_or_read_preference_is_overridden() {
        let uri = "mongodb://h/?w=1&journal=false&wtimeoutMS=0&readPreference=secondary";
        let settings = settings(uri);
        let mut options = ClientOptions::parse(uri).await.unwrap();
        apply(&settings, &mut options);
        let write_concern = options.write_concern.unwrap();
        assert_eq!(write_concern.w, Some(Acknowledgment::Majority));
        assert_eq!(write_concern.journal, Some(true));
        assert_eq!(write_concern.w_timeout, Some(WRITE_TIMEOUT));
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(options.selection_criteria, Some(primary));
        assert_eq!(
            options.server_selection_timeout,
            Some(SERVER_SELECTION_TIMEOUT)
        );
        assert_eq!(options.heartbeat_freq, Some(HEARTBEAT));
    }

    #[tokio::test]
    async fn a_heartbeat_of_the_connection_string_holds() {
        let uri = "mongodb://h/?heartbeatFrequencyMS=3000";
        let mut options = ClientOptions::parse(uri).await.unwrap();
        apply(&settings(uri), &mut options);
        assert_eq!(options.heartbeat_freq, Some(Duration::from_secs(3)));
    }
}
