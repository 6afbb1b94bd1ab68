//! The Redis servers, and connecting to one of them.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::domain::token_key::TokenKey;
use crate::settings::RedisTopology;
use crate::settings::secret::Secret;
use crate::stores::error::{OpenError, StoreError};

use super::connect;
use super::connection::RedisConnection;
use super::identity::ConnectionId;

/// What a connection tells of its own accord, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheEvent {
    /// These tokens, read over this connection, were changed or removed. A token may be named
    /// twice, once for each of its keys.
    Invalidated(Vec<TokenKey>),
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
    /// `predecessor` is the last connection that was used for changes: the server ends it before
    /// this one is handed out. What was still on its way there, perhaps held up by the network,
    /// would otherwise be carried out late, and bring back a token that has ended meanwhile.
    ///
    /// A server without RESP3 or client tracking is used without events, as is a cluster:
    /// [`RedisConnection::tracks_changes`] tells. A replica is not used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`].
    pub async fn connect(
        &self,
        deadlines: RedisDeadlines,
        predecessor: Option<&ConnectionId>,
        on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
    ) -> Result<RedisConnection, StoreError> {
        match &self.server {
            Server::Single(info) => connect::single(info, deadlines, predecessor, on_event).await,
            Server::Cluster(nodes) => connect::cluster(nodes, deadlines).await,
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
}
