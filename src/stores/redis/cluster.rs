//! Who serves which slots of a cluster: after a failover another node does, and it may not have
//! heard of the last ends. Nor has a node that was restarted with old data, to which the driver
//! connects again by itself.

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{FromRedisValue, RedisError, RedisResult, Value};
use thiserror::Error;

use super::identity::{command, run_id};
use super::{STORE, is_refused_to_us, store_error};
use crate::stores::error::StoreError;

/// Other nodes serve the slots.
#[derive(Debug, Error)]
#[error("other nodes of the cluster serve its slots since it was trusted, or restarted ones")]
struct OtherNodes;

/// Who serves the slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The slots and the node that serves them, as one node of the cluster sees it.
    ranges: Vec<Range>,
    /// The processes of the primaries, as they name themselves; none where our user may not ask.
    processes: Vec<String>,
}

/// First and last slot, and the name of the node.
type Range = (u16, u16, Vec<u8>);

impl Layout {
    /// `None` where our user may not ask.
    pub(super) async fn ask(link: &mut ClusterConnection) -> RedisResult<Option<Self>> {
        let slots = redis::cmd("CLUSTER").arg("SLOTS").to_owned();
        match slots.query_async::<Vec<Vec<Value>>>(link).await {
            Err(error) if is_refused_to_us(&error) => Ok(None),
            Err(error) => Err(error),
            Ok(ranges) => Ok(Some(Self {
                ranges: read(&ranges)?,
                processes: processes(link).await?,
            })),
        }
    }

    /// Fails unless the same nodes serve the same slots now.
    pub(super) async fn check(&self, link: &mut ClusterConnection) -> Result<(), StoreError> {
        let now = Self::ask(link).await.map_err(store_error)?;
        if now.as_ref() == Some(self) {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            store: STORE,
            source: OtherNodes.into(),
        })
    }
}

/// Asks each primary for its process.
async fn processes(link: &mut ClusterConnection) -> RedisResult<Vec<String>> {
    let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let info = command(&["INFO", "server"]);
    let Value::Map(answers) = link.route_command(info, primaries).await? else {
        return Ok(Vec::new());
    };
    let mut processes = Vec::new();
    for (_, answer) in answers {
        match answer {
            Value::ServerError(error) => {
                let error = RedisError::from(error);
                if !is_refused_to_us(&error) {
                    return Err(error);
                }
            }
            info => processes.extend(run_id(&String::from_redis_value(info)?)),
        }
    }
    processes.sort_unstable();
    Ok(processes)
}

// A range is its first slot, its last one, the node that serves it, and its replicas.
fn read(ranges: &[Vec<Value>]) -> RedisResult<Vec<Range>> {
    let mut layout = Vec::new();
    for range in ranges {
        if let [first, last, Value::Array(primary), ..] = range.as_slice()
            && let Some(name) = primary.get(2)
        {
            let slots = (
                u16::from_redis_value_ref(first)?,
                u16::from_redis_value_ref(last)?,
            );
            layout.push((slots.0, slots.1, Vec::from_redis_value_ref(name)?));
        }
    }
    layout.sort_unstable();
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, primary: &str, replica: &str) -> Vec<Value> {
        let node = |name: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            Value::Array(vec![text("127.0.0.1"), Value::Int(7000), text(name)])
        };
        vec![
            Value::Int(first),
            Value::Int(last),
            node(primary),
            node(replica),
        ]
    }

    #[test]
    fn only_who_serves_the_slots_counts() {
        let layout = |ranges: &[Vec<Value>]| read(ranges).unwrap();
        let one = layout(&[range(0, 9, "a", "b"), range(10, 16_383, "c", "d")]);
        let turned = layout(&[range(10, 16_383, "c", "e"), range(0, 9, "a", "f")]);
        assert_eq!(one, turned);
        let failed_over = layout(&[range(0, 9, "b", "a"), range(10, 16_383, "c", "d")]);
        assert_ne!(one, failed_over);
    }
}
