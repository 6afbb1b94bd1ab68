//! The section of Redis: its addresses, and what they must have off this machine.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::endpoints::is_loopback_host;
use super::fault::Wrong;
use super::keys;
use super::reader::{Reader, number};
use super::secret::Secret;
use super::{RedisSettings, RedisTopology};

/// Reads the section.
pub(super) fn redis(reader: &mut Reader, may_be_insecure: bool) -> Option<RedisSettings> {
    let topology = reader.required(&keys::REDIS_URL, |text| topology(text, may_be_insecure));
    let shards = reader.required(&keys::CACHE_SHARDS, number(1..=1024));
    Some(RedisSettings {
        topology: topology?,
        shards_per_endpoint: shards?,
    })
}

fn topology(text: &str, may_be_insecure: bool) -> Result<RedisTopology, Wrong> {
    let (addresses, is_cluster) = match cluster(text) {
        Some(addresses) => (addresses, true),
        None => (
            text.split(',')
                .map(|address| address.trim().to_owned())
                .collect(),
            false,
        ),
    };
    for (index, address) in addresses.iter().enumerate() {
        let info = parse(address)?;
        if is_cluster && info.redis_settings().db() != 0 {
            return Err(Wrong::new(
                "names a database, and a cluster has only 0",
                "remove it",
            ));
        }
        if addresses
            .iter()
            .take(index)
            .any(|earlier| earlier == address)
        {
            return Err(Wrong::new(
                "names one address twice",
                "name each shard once",
            ));
        }
        if !may_be_insecure {
            secure(&info)?;
        }
    }
    let addresses = addresses.into_iter().map(Secret::new).collect();
    Ok(if is_cluster {
        RedisTopology::Cluster(addresses)
    } else {
        RedisTopology::Endpoints(addresses)
    })
}

/// The nodes of `redis+cluster://user:password@host:port,host:port`, each as an address with
/// those credentials.
fn cluster(text: &str) -> Option<Vec<String>> {
    let (scheme, rest) = text.split_once("+cluster://")?;
    if !matches!(scheme, "redis" | "rediss") {
        return None;
    }
    let (credentials, nodes) = match rest.rsplit_once('@') {
        Some((credentials, nodes)) => (format!("{credentials}@"), nodes),
        None => (String::new(), rest),
    };
    Some(
        nodes
            .split(',')
            .map(|node| format!("{scheme}://{credentials}{}", node.trim()))
            .collect(),
    )
}

fn parse(address: &str) -> Result<ConnectionInfo, Wrong> {
    const MEND: &str = "write redis://host:port/db, rediss://host:port/db or unix:///path?db=0, \
                        with % codes for special characters of a password";
    let scheme = address.split_once(':').map(|(scheme, _)| scheme);
    if !scheme.is_some_and(|scheme| matches!(scheme, "redis" | "rediss" | "unix" | "redis+unix")) {
        return Err(Wrong::new("has an address of an unknown kind", MEND));
    }
    // The driver's text is not passed on: it may quote a piece of a password.
    let info = address
        .into_connection_info()
        .map_err(|_| Wrong::new("has an address that does not parse", MEND))?;
    if info.redis_settings().db() < 0 {
        return Err(Wrong::new("has a negative database number", MEND));
    }
    Ok(info)
}

/// Tokens travel over this connection: off this machine it has to be encrypted, and to know who
/// asks.
fn secure(info: &ConnectionInfo) -> Result<(), Wrong> {
    const OVERRIDE: &str = "or set SENTINEL_ALLOW_INSECURE_STORES=true";
    let has_tls = match info.addr() {
        ConnectionAddr::Unix(_) => return Ok(()),
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }
            if is_loopback_host(host) =>
        {
            return Ok(());
        }
        ConnectionAddr::TcpTls { insecure, .. } => !insecure,
        _ => false,
    };
    if !has_tls {
        let mend = format!("write rediss:// without #insecure, {OVERRIDE}");
        return Err(Wrong::new(
            "reaches another machine without verified TLS",
            mend,
        ));
    }
    if info.redis_settings().password().is_none_or(str::is_empty) {
        let mend = format!("write rediss://:password@host, {OVERRIDE}");
        return Err(Wrong::new(
            "reaches another machine without a password",
            mend,
        ));
    }
    Ok(())
}
