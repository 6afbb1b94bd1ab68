use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use time::Duration;

use super::{VALIDITY, ensure};
use crate::clock::Clock;
use crate::server::tls::Loaded;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_pair_is_for_this_machine_and_its_key_for_the_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let clock = Clock::default();
    let files = ensure(&folder, &clock).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&files.key), 0o600);
    assert_eq!(mode(&files.certificate), 0o644);
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let loaded =
            Loaded::from_files(&files.certificate, &files.key, Some(host), &clock).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{host}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no drafts stay");
}

#[test]
fn a_pair_is_used_again_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let files = ensure(folder.path(), &clock).unwrap();
    let first = fs::read(&files.certificate).unwrap();
    clock.advance(VALIDITY - Duration::hours(1));
    ensure(folder.path(), &clock).unwrap();
    assert_eq!(fs::read(&files.certificate).unwrap(), first);
    clock.advance(Duration::hours(2));
    ensure(folder.path(), &clock).unwrap();
    assert_ne!(fs::read(&files.certificate).unwrap(), first);
    let loaded = Loaded::from_files(&files.certificate, &files.key, None, &clock).unwrap();
    assert!(loaded.certificates.not_after() > clock.now());
}

#[test]
fn a_damaged_exposed_or_torn_pair_is_made_anew() {
    type Damage = fn(&super::AdHocFiles);
    let rows: [(&str, Damage); 4] = [
        ("damaged", |files| fs::write(&files.key, "half").unwrap()),
        ("exposed", |files| {
            fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("no key", |files| fs::remove_file(&files.key).unwrap()),
        ("another's certificate", |files| {
            let other = tempfile::tempdir().unwrap();
            let other = ensure(other.path(), &Clock::default()).unwrap().certificate;
            fs::copy(other, &files.certificate).unwrap();
        }),
    ];
    for (name, damage) in rows {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let files = ensure(folder.path(), &clock).unwrap();
        damage(&files);
        ensure(folder.path(), &clock).unwrap();
        let loaded = Loaded::from_files(&files.certificate, &files.key, None, &clock);
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
        assert_eq!(mode(&files.key), 0o600, "{name}");
    }
}
