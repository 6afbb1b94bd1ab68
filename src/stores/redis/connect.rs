//! Connecting: protocol, deadlines, the role of the server, and what it tells of its own accord.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind,
    RedisResult, Value,
};

use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;

use super::cluster::Layout;
use super::connection::{Link, RedisConnection, Traits};
use super::endpoints::{CacheEvent, RedisDeadlines};
use super::history::History;
use super::identity::{ConnectionId, Probe};
use super::{is_refused_to_us, keys, store_error};

/// How many requests may wait to be written; the driver's 50 would make a busy shard queue twice.
const PIPELINE_BUFFER: usize = 1_024;

/// Connects to one server, and ends the predecessor there.
pub(super) async fn single(
    info: &ConnectionInfo,
    deadlines: RedisDeadlines,
    predecessor: Option<&ConnectionId>,
    on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
) -> Result<RedisConnection, StoreError> {
    let emptied = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&emptied);
    let on_event = move |event| {
        if event == CacheEvent::InvalidatedAll {
            count.fetch_add(1, Ordering::Release);
        }
        on_event(event);
    };
    let (mut link, has_events) = open(info, deadlines, on_event).await.map_err(store_error)?;
    let probe = Probe::find(&mut link, has_events).await?;
    let id = ConnectionId::ask(&mut link).await.map_err(store_error)?;
    let has_ended_predecessor = match predecessor {
        Some(predecessor) => predecessor.end_before(id.as_ref(), &mut link).await,
        None => Ok(false),
    };
    let has_ended_predecessor = has_ended_predecessor.map_err(store_error)?;
    let tracks_changes = has_events && track(&mut link).await.map_err(store_error)?;
    let history = History::ask(&mut link, emptied)
        .await
        .map_err(store_error)?;
    let traits = Traits {
        tracks_changes,
        probe,
        id,
        has_ended_predecessor,
        history: Some(Arc::new(history)),
        layout: None,
    };
    Ok(RedisConnection::new(Link::Single(link), traits))
}

/// Connects to a cluster; its driver follows the roles of the nodes.
pub(super) async fn cluster(
    nodes: &[ConnectionInfo],
    deadlines: RedisDeadlines,
) -> Result<RedisConnection, StoreError> {
    let mut link = open_cluster(nodes, deadlines).await.map_err(store_error)?;
    let layout = Layout::ask(&mut link).await.map_err(store_error)?;
    let traits = Traits {
        tracks_changes: false,
        probe: Probe::Ping,
        id: None,
        has_ended_predecessor: false,
        history: None,
        layout: layout.map(Arc::new),
    };
    Ok(RedisConnection::new(Link::Cluster(link), traits))
}

/// Connects with events, or without where the server has none.
async fn open(
    info: &ConnectionInfo,
    deadlines: RedisDeadlines,
    on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
) -> RedisResult<(MultiplexedConnection, bool)> {
    let pushed = move |push: PushInfo| {
        if let Some(event) = event_of(&push) {
            on_event(event);
        }
        Ok::<(), std::convert::Infallible>(())
    };
    let with_events = config(deadlines).set_push_sender(pushed);
    match connect_with(info, ProtocolVersion::RESP3, &with_events).await {
        Err(error) if error.kind() == ErrorKind::RESP3NotSupported || is_refused_to_us(&error) => {
            let link = connect_with(info, ProtocolVersion::RESP2, &config(deadlines)).await?;
            Ok((link, false))
        }
        link => Ok((link?, true)),
    }
}

/// Asks to be told of changes; not every user may.
async fn track(link: &mut MultiplexedConnection) -> RedisResult<bool> {
    let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").to_owned();
    match tracking.query_async::<()>(link).await {
        Err(error) if is_refused_to_us(&error) => Ok(false),
        done => done.map(|()| true),
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

async fn open_cluster(
    nodes: &[ConnectionInfo],
    deadlines: RedisDeadlines,
) -> RedisResult<redis::cluster_async::ClusterConnection> {
    let client = ClusterClient::builder(nodes.to_vec())
        .connection_timeout(deadlines.connect)
        .response_timeout(deadlines.response)
        // The caller has the truth to ask: it must not wait for a slow cluster to mend.
        .overall_response_timeout(Some(deadlines.connect))
        // Nothing is asked again, perhaps of a node that was restarted with old data meanwhile.
        .retries(0)
        .build()?;
    client.get_async_connection().await
}

fn event_of(push: &PushInfo) -> Option<CacheEvent> {
    match push.kind {
        PushKind::Disconnection => Some(CacheEvent::Disconnected),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(names)) => {
                let tokens: Vec<TokenKey> = names.iter().filter_map(token_of).collect();
                (!tokens.is_empty()).then_some(CacheEvent::Invalidated(tokens))
            }
            // Redis sends no names when the database was flushed.
            _ => Some(CacheEvent::InvalidatedAll),
        },
        _ => None,
    }
}

fn token_of(name: &Value) -> Option<TokenKey> {
    match name {
        Value::BulkString(name) => keys::token_of(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_without_names_is_one_of_everything() {
        let push = PushInfo {
            kind: PushKind::Invalidate,
            data: vec![Value::Nil],
        };
        assert_eq!(event_of(&push), Some(CacheEvent::InvalidatedAll));
    }
}
