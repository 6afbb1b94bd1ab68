//! The table of rooms in docs/architecture.md, held against the sources: who imports whom, where
//! drivers are named, how long files are.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, and what each may import beside itself and `telemetry`.
const ROOMS: [(&str, &[&str]); 11] = [
    ("telemetry", &[]),
    ("domain", &[]),
    ("clock", &["domain"]),
    ("crypto", &["domain"]),
    ("settings", &["domain"]),
    // The clock tells which records have ended.
    ("stores", &["domain", "settings", "clock"]),
    ("actors", &["domain", "clock", "crypto", "stores"]),
    // Secrets are hashed at the door, and form tokens made there.
    ("http", &["domain", "actors", "crypto"]),
    // The clock tells whether a certificate is valid.
    ("server", &["settings", "clock"]),
    ("sentinel", &EVERYTHING_BELOW),
    ("cli", &["sentinel", "settings", "http::wire"]),
];

const EVERYTHING_BELOW: [&str; 8] = [
    "domain", "clock", "crypto", "settings", "stores", "actors", "http", "server",
];

/// Where a library may be named. A path is a room, or a file.
const LIBRARIES: [(&str, &[&str]); 12] = [
    // `settings` parses addresses with the drivers' own parsers.
    ("mongodb", &["stores", "settings"]),
    ("redis", &["stores", "settings"]),
    ("redb", &["stores"]),
    // `sentinel` tells why the tree of actors did not start.
    ("ractor", &["actors", "sentinel/compose.rs"]),
    // The command `dev` adds a route of its own.
    ("warp", &["http", "sentinel", "cli"]),
    // `sentinel` and `cli` choose the provider for the process.
    ("rustls", &["server", "sentinel/compose.rs", "cli"]),
    ("tokio_rustls", &["server"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("uapi", &["server"]),
    ("tera", &["http", "cli"]),
    ("clap", &["cli"]),
];

/// Most lines of a file without its tests.
const LONGEST_FILE: usize = 300;

/// Files that may be longer, and why: none.
const LONGER_FILES: [(&str, &str); 0] = [];

/// One source file without its tests and comments.
struct Source {
    /// From `src` on, such as `http/token.rs`.
    path: String,
    /// Lines of code and comments, without tests.
    length: usize,
    /// Lines of code, with their numbers.
    code: Vec<(usize, String)>,
}

#[test]
fn rooms_import_only_what_their_row_allows() {
    let mut faults = String::new();
    for source in sources() {
        let room = source.room();
        let allowed = ROOMS.iter().find(|(name, _)| *name == room);
        // What belongs to no room is `lib.rs`, which names rooms to export from them.
        let Some((_, allowed)) = allowed else {
            continue;
        };
        for (number, line) in &source.code {
            for imported in imports(line) {
                let is_own = is_within(imported, room) || is_within(imported, "telemetry");
                if !is_own && !allowed.iter().any(|it| is_within(imported, it)) {
                    let path = &source.path;
                    writeln!(faults, "{path}:{number}: `{room}` imports {imported}").unwrap();
                }
            }
        }
    }
    assert!(faults.is_empty(), "not in the table of rooms:\n{faults}");
}

#[test]
fn rooms_are_named_from_the_root_of_the_crate() {
    let mut faults = String::new();
    for source in sources() {
        let depth = source.depth();
        for (number, line) in &source.code {
            // A group or a glob would hide the room; enough `super` would go around it.
            let is_hidden = line.contains("crate::{") || line.contains("crate::*");
            if is_hidden || line.contains(&"super::".repeat(depth)) {
                let path = &source.path;
                writeln!(faults, "{path}:{number}: {line}").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "imports that name no room:\n{faults}");
}

#[test]
fn libraries_are_named_only_in_their_rooms() {
    let mut faults = String::new();
    for source in sources() {
        for (library, places) in LIBRARIES {
            let is_place = |place: &&str| **place == source.path || *place == source.room();
            if places.iter().any(is_place) {
                continue;
            }
            for (number, line) in &source.code {
                if names(line, library) {
                    let path = &source.path;
                    writeln!(faults, "{path}:{number}: {library}").unwrap();
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "libraries outside their rooms:\n{faults}"
    );
}

#[test]
fn files_are_short() {
    let mut faults = String::new();
    for source in sources() {
        let is_excused = LONGER_FILES.iter().any(|(path, _)| *path == source.path);
        if (source.length > LONGEST_FILE) != is_excused {
            writeln!(faults, "{}: {} lines", source.path, source.length).unwrap();
        }
    }
    assert!(
        faults.is_empty(),
        "over {LONGEST_FILE} lines, or excused without need:\n{faults}"
    );
}

#[test]
fn the_commands_are_all_that_main_knows() {
    let main = read(&root().join("main.rs"));
    for (number, line) in &main.code {
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("warp_sentinel::") {
            assert!(is_within(after, "cli"), "main.rs:{number}: {line}");
            rest = after;
        }
    }
    assert!(main.length < 60, "main.rs has {} lines", main.length);
}

#[test]
fn the_scan_finds_what_it_looks_for() {
    let line = "use crate::stores::redis::keys; let x = crate::clock::now(crate::http::wire::X);";
    let found: Vec<&str> = imports(line).collect();
    assert_eq!(found.len(), 3);
    assert!(is_within(found[0], "stores") && is_within(found[2], "http::wire"));
    assert!(!is_within("http::error", "http::wire") && !is_within("storeship::x", "stores"));
    assert!(!names(line, "redis") && !names("crate::redis::x", "redis"));
    assert!(names("let x = redis::cmd();", "redis") && names("use redis::{Cmd};", "redis"));
    assert!(names("fn x(y: &warp::Error)", "warp") && !names("time_warp::x", "warp"));
    assert!(!names("target == \"warp::\"", "warp"));
    let paths: Vec<String> = sources().into_iter().map(|source| source.path).collect();
    for room in ["domain", "stores", "actors", "http", "server", "sentinel"] {
        assert!(paths.iter().any(|path| path.starts_with(room)), "{room}");
    }
}

impl Source {
    /// The first folder, or the file of a room that is one.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many `super` lead from it to the root of the crate.
    fn depth(&self) -> usize {
        let path = self.path.strip_suffix("/mod.rs").unwrap_or(&self.path);
        path.split('/').count()
    }
}

/// The paths behind each `crate::` of a line.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, found)| {
        let path = &line[at + found.len()..];
        let is_end = |letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':');
        path.split(is_end).next().unwrap()
    })
}

/// Whether a path is a module or lies in it.
fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| {
        !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    })
}

/// Whether a line has a path that begins with a library.
fn names(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, found)| {
        let is_path = line[at + found.len()..].starts_with("::");
        // In quotes it is the target of a log line.
        let is_within_word = |letter: char| letter.is_alphanumeric() || "_:\"".contains(letter);
        is_path && !line[..at].ends_with(is_within_word)
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of `src` that is not a test.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match name {
                "tests" | "tests.rs" | "testing.rs" => {}
                _ if path.is_dir() => folders.push(path),
                _ if path.extension().is_some_and(|it| it == "rs") => sources.push(read(&path)),
                _ => {}
            }
        }
    }
    sources
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    // Unit tests are the last item of their file.
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines: Vec<&str> = text[..end].lines().collect();
    let code = lines.iter().enumerate().filter_map(|(index, line)| {
        let line = line.trim();
        (!line.starts_with("//")).then(|| (index + 1, line.to_owned()))
    });
    Source {
        path: path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned(),
        length: lines.len(),
        code: code.collect(),
    }
}
