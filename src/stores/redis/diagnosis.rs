//! What an operator should know of how a Redis server is set up.

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult};

use super::keys;

/// How many keys are looked at, so that a large database costs nothing at start.
const SAMPLE: usize = 100;
/// The share of `maxmemory` that may be in use before it is a warning.
const HEADROOM_PERCENT: u64 = 80;

/// Asks the server; what it does not tell, perhaps for lack of rights, is passed over.
pub(super) async fn diagnose(mut link: MultiplexedConnection) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Ok(info) = ask::<String>(&mut link, &["INFO", "memory"]).await {
        warnings.extend(memory_warning(&info));
    }
    let info = ask::<String>(&mut link, &["INFO", "persistence"]).await;
    let save = ask::<Vec<String>>(&mut link, &["CONFIG", "GET", "save"]).await;
    warnings.extend(persistence_warning(
        &info.unwrap_or_default(),
        save.ok()
            .and_then(|pair| pair.into_iter().nth(1))
            .as_deref(),
    ));
    let sample = SAMPLE.to_string();
    let scan = ask::<(String, Vec<Vec<u8>>)>(&mut link, &["SCAN", "0", "COUNT", &sample]).await;
    if let Ok((_, names)) = scan {
        warnings.extend(foreign_warning(&names));
    }
    warnings
}

async fn ask<T: FromRedisValue>(
    link: &mut MultiplexedConnection,
    words: &[&str],
) -> RedisResult<T> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query_async(link).await
}

fn memory_warning(info: &str) -> Option<String> {
    if field(info, "maxmemory_policy")? != "noeviction" {
        return None;
    }
    let most: u64 = field(info, "maxmemory")?.parse().ok()?;
    let used: u64 = field(info, "used_memory")?.parse().ok()?;
    if most == 0 {
        return Some(
            "maxmemory is not set: a flood of logins can use up the machine's memory; set \
             maxmemory, and maxmemory-policy volatile-ttl"
                .to_owned(),
        );
    }
    let is_tight = used.saturating_mul(100) > most.saturating_mul(HEADROOM_PERCENT);
    is_tight.then(|| {
        format!(
            "maxmemory-policy is noeviction and {used} of {most} bytes are in use: when it is \
             full no token can be published; raise maxmemory or set volatile-ttl"
        )
    })
}

fn persistence_warning(info: &str, save: Option<&str>) -> Option<String> {
    let has_log = field(info, "aof_enabled") == Some("1");
    let has_snapshots = save.is_some_and(|save| !save.is_empty());
    (has_log || has_snapshots).then(|| {
        "persistence is on: a restart brings revoked tokens back for programs that read Redis; \
         set save \"\" and appendonly no"
            .to_owned()
    })
}

fn foreign_warning(names: &[Vec<u8>]) -> Option<String> {
    let is_foreign = |name: &&Vec<u8>| keys::token_of(name).is_none();
    let count = names.iter().filter(is_foreign).count();
    (count > 0).then(|| {
        format!(
            "{count} of {} sampled keys are not tokens: a program that reads this database lets \
             in a bearer that names one; give the tokens a database of their own",
            names.len()
        )
    })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_that_evicts_nothing_is_told() {
        let info = |most: u64, policy: &str| {
            format!("used_memory:90\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n")
        };
        let tight = memory_warning(&info(100, "noeviction")).unwrap();
        assert!(tight.contains("90 of 100"), "{tight}");
        assert!(memory_warning(&info(0, "noeviction")).is_some());
        assert!(memory_warning(&info(1_000, "noeviction")).is_none());
        assert!(memory_warning(&info(100, "volatile-ttl")).is_none());
    }

    #[test]
    fn keys_that_are_no_tokens_are_counted_not_named() {
        let names = [
            b"session:secret".to_vec(),
            b"sx2Rz0vVFVRQBCFVCTwXINPjSswq1W".to_vec(),
        ];
        let warning = foreign_warning(&names).unwrap();
        assert!(warning.starts_with("1 of 2") && !warning.contains("secret"));
        assert!(foreign_warning(&names[1..]).is_none());
    }
}
