//! How many files the stores may need, so that connections of clients leave them.

use crate::settings::{RedisSettings, RedisTopology, StoreSettings};

use super::mongo;

/// Nodes of a Redis Cluster that are reckoned with where fewer are named: three, and their replicas.
const USUAL_NODES: usize = 6;

/// The most that the stores of these settings open at one time.
pub fn most(settings: &StoreSettings) -> usize {
    match settings {
        StoreSettings::MongoDb { mongo, redis, .. } => {
            mongo::most_connections(mongo).saturating_add(most_redis_connections(redis))
        }
        StoreSettings::Embedded => 1,
    }
}

// While a shard connects anew its earlier connection may still be there.
fn most_redis_connections(settings: &RedisSettings) -> usize {
    let nodes = match &settings.topology {
        RedisTopology::Endpoints(addresses) => addresses.len(),
        RedisTopology::Cluster(addresses) => addresses.len().max(USUAL_NODES),
    };
    2 * nodes.saturating_mul(settings.shards_per_endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MongoSettings;
    use crate::settings::secret::Secret;

    fn settings(uri: &str, topology: fn(Vec<Secret>) -> RedisTopology, nodes: usize) -> usize {
        most(&StoreSettings::MongoDb {
            mongo: MongoSettings {
                uri: Secret::new(uri),
                database: "oauth".to_owned(),
                connect_timeout: None,
                server_selection_timeout: None,
            },
            redis: RedisSettings {
                topology: topology(vec![Secret::new("redis://h"); nodes]),
                shards_per_endpoint: 32,
            },
            token_storage: None,
        })
    }

    #[test]
    fn more_is_left_where_more_is_connected_to() {
        let endpoints = RedisTopology::Endpoints;
        assert_eq!(most(&StoreSettings::Embedded), 1);
        let one = settings("mongodb://h", endpoints, 1);
        assert_eq!(one, 64 + 2 + 2 * 32);
        assert_eq!(settings("mongodb://h", endpoints, 4), one + 3 * 2 * 32);
        let set = settings("mongodb://a,b,c/?replicaSet=r", endpoints, 1);
        assert_eq!(set, 2 * 64 + 3 * 2 + 2 * 32);
        let small = settings("mongodb://h/?maxPoolSize=10", endpoints, 1);
        assert_eq!(small, one - 54);
        let cluster = settings("mongodb://h", RedisTopology::Cluster, 1);
        assert_eq!(cluster, 64 + 2 + 2 * 6 * 32);
    }
}
