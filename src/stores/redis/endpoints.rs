//! The Redis servers, and connecting to one of them.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, Value,
};

use crate::domain::token::TokenValue;
use crate::settings::RedisTopology;
use crate::settings::secret::Secret;
use crate::stores::error::{OpenError, StoreError};

use super::connection::{Link, RedisConnection};
use super::{keys, store_error};

/// How many requests may wait to be written; the driver's 50 would make a busy shard queue twice.
const PIPELINE_BUFFER: usize = 1_024;

/// What a connection tells of its own accord, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheEvent {
    /// These tokens, read over this connection, were changed or removed. A token may be named
    /// twice, once for each of its keys.
    Invalidated(Vec<TokenValue>),
    /// The server was emptied.
    InvalidatedAll,
    /// The connection ended: changes are no longer told, nothing read over it may be trusted.
    Disconnected,
}

/// How long Redis may take. Answers are expected at once; the truth is asked where it is slow.
#[derive(Clone, Copy, Debug)]
pub struct RedisDeadlines {
    /// For connecting, TLS and sign-in.
    pub connect: Duration,
    /// For each answer.
    pub response: Duration,
}

impl Default for RedisDeadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            response: Duration::from_millis(100),
        }
    }
}

/// The Redis servers that share the token space.
#[derive(Clone, Debug)]
pub struct RedisEndpoints(Vec<RedisEndpoint>);

/// One Redis server, or one Redis Cluster.
#[derive(Clone)]
pub struct RedisEndpoint {
    server: Server,
    name: String,
}

#[derive(Clone)]
enum Server {
    Single(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
}

impl RedisEndpoints {
    /// Reads the addresses; reaches nothing yet.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for an address that is not one, or when there is none.
    pub fn new(topology: &RedisTopology) -> Result<Self, OpenError> {
        let endpoints = match topology {
            RedisTopology::Endpoints(addresses) => addresses
                .iter()
                .map(single)
                .collect::<Result<Vec<_>, _>>()?,
            RedisTopology::Cluster(addresses) => vec![cluster(addresses)?],
        };
        if endpoints.is_empty() {
            return Err(OpenError::Unusable("no Redis address is given".to_owned()));
        }
        Ok(Self(endpoints))
    }

    /// The endpoints, in the order of their ranges of slots.
    pub fn endpoints(&self) -> &[RedisEndpoint] {
        &self.0
    }
}

impl RedisEndpoint {
    /// Host and port, or the path of the socket; never the credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects. `on_event` is called in stream order: an invalidation comes before each answer
    /// that the server sent after it. It must not block.
    ///
    /// A server without RESP3 or client tracking is used without events, as is a cluster:
    /// [`RedisConnection::tracks_changes`] tells.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`].
    pub async fn connect(
        &self,
        deadlines: RedisDeadlines,
        on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
    ) -> Result<RedisConnection, StoreError> {
        match &self.server {
            Server::Single(info) => connect_single(info, deadlines, on_event).await,
            Server::Cluster(nodes) => {
                let link = connect_cluster(nodes, deadlines).await;
                let link = Link::Cluster(link.map_err(store_error)?);
                Ok(RedisConnection::new(link, false))
            }
        }
    }
}

impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

fn single(address: &Secret) -> Result<RedisEndpoint, OpenError> {
    let info = connection_info(address)?;
    Ok(RedisEndpoint {
        name: info.addr().to_string(),
        server: Server::Single(Box::new(info)),
    })
}

fn cluster(addresses: &[Secret]) -> Result<RedisEndpoint, OpenError> {
    let nodes = addresses
        .iter()
        .map(connection_info)
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
    Ok(RedisEndpoint {
        name: names.join(", "),
        server: Server::Cluster(nodes),
    })
}

fn connection_info(address: &Secret) -> Result<ConnectionInfo, OpenError> {
    // The driver's words may quote a part of the address, and with it the password.
    address.expose().into_connection_info().map_err(|_| {
        let expected = "redis://, rediss:// or unix:// and a database number";
        OpenError::Unusable(format!("a Redis address is not valid: expected {expected}"))
    })
}

async fn connect_single(
    info: &ConnectionInfo,
    deadlines: RedisDeadlines,
    on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
) -> Result<RedisConnection, StoreError> {
    let pushed = move |push: PushInfo| {
        if let Some(event) = event_of(&push) {
            on_event(event);
        }
        Ok::<(), std::convert::Infallible>(())
    };
    let config = config(deadlines).set_push_sender(pushed);
    match connect_with(info, ProtocolVersion::RESP3, &config).await {
        Ok(mut link) => {
            let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").to_owned();
            match tracking.query_async::<()>(&mut link).await {
                Ok(()) => Ok(RedisConnection::new(Link::Single(link), true)),
                Err(error) if is_unknown_to_server(&error) => {
                    Ok(RedisConnection::new(Link::Single(link), false))
                }
                Err(error) => Err(store_error(error)),
            }
        }
        Err(error) if is_unknown_to_server(&error) => {
            let config = self::config(deadlines);
            let link = connect_with(info, ProtocolVersion::RESP2, &config).await;
            let link = Link::Single(link.map_err(store_error)?);
            Ok(RedisConnection::new(link, false))
        }
        Err(error) => Err(store_error(error)),
    }
}

fn config(deadlines: RedisDeadlines) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(deadlines.connect))
        .set_response_timeout(Some(deadlines.response))
        .set_pipeline_buffer_size(PIPELINE_BUFFER)
}

async fn connect_with(
    info: &ConnectionInfo,
    protocol: ProtocolVersion,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let settings = info.redis_settings().clone().set_protocol(protocol);
    let client = Client::open(info.clone().set_redis_settings(settings))?;
    client
        .get_multiplexed_async_connection_with_config(config)
        .await
}

async fn connect_cluster(
    nodes: &[ConnectionInfo],
    deadlines: RedisDeadlines,
) -> RedisResult<redis::cluster_async::ClusterConnection> {
    let client = ClusterClient::builder(nodes.to_vec())
        .connection_timeout(deadlines.connect)
        .response_timeout(deadlines.response)
        // The caller has the truth to ask: it must not wait for a slow cluster to mend.
        .overall_response_timeout(Some(deadlines.connect))
        .retries(1)
        .build()?;
    client.get_async_connection().await
}

/// Whether the server answered that it has no such command, as one older than Redis 6 does, or
/// that our user may not use it.
fn is_unknown_to_server(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || matches!(error.code(), Some("ERR" | "NOPROTO" | "NOPERM"))
}

fn event_of(push: &PushInfo) -> Option<CacheEvent> {
    match push.kind {
        PushKind::Disconnection => Some(CacheEvent::Disconnected),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(names)) => {
                let tokens: Vec<TokenValue> = names.iter().filter_map(token_of).collect();
                (!tokens.is_empty()).then_some(CacheEvent::Invalidated(tokens))
            }
            // Redis sends no names when the database was flushed.
            _ => Some(CacheEvent::InvalidatedAll),
        },
        _ => None,
    }
}

fn token_of(name: &Value) -> Option<TokenValue> {
    match name {
        Value::BulkString(name) => keys::token_of(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_its_password() {
        let address = Secret::new("redis://anna:hunter2@127.0.0.1:6380/3");
        let endpoints = RedisEndpoints::new(&RedisTopology::Endpoints(vec![address])).unwrap();
        assert_eq!(endpoints.endpoints()[0].name(), "127.0.0.1:6380");
        assert_eq!(format!("{endpoints:?}"), "RedisEndpoints([127.0.0.1:6380])");
    }

    #[test]
    fn a_bad_address_is_refused_without_quoting_it() {
        for address in ["http://hunter2", "redis://:hunter2@h/zero", "hunter2"] {
            let topology = RedisTopology::Endpoints(vec![Secret::new(address)]);
            let message = RedisEndpoints::new(&topology).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn an_invalidation_without_names_is_one_of_everything() {
        let push = PushInfo {
            kind: PushKind::Invalidate,
            data: vec![Value::Nil],
        };
        assert_eq!(event_of(&push), Some(CacheEvent::InvalidatedAll));
    }
}
