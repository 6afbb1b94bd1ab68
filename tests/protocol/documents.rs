//! The tests that two documents name in their tables, held against the sources: who renames a test
//! renames it there.

use std::fs;
use std::path::Path;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const RELIABILITY: &str = include_str!("../../docs/reliability.md");

/// A file of sources: folders and name between colons (`::src::http::token::`), and the text.
type Source = (String, String);

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "crates"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        collect(&path, &format!("::{folder}::"), &mut sources);
    }
    let is_there = |name: &str| sources.iter().any(|source| has(source, name));
    assert!(is_there("documents::*") && is_there("documents::every_test_that_*"));
    assert!(!is_there("documents::every_test") && !is_there("token_life::every_test_that_*"));
    for document in [PROTOCOL, RELIABILITY] {
        let named: Vec<String> = document.lines().flat_map(named_in).collect();
        let missing: Vec<&String> = named.iter().filter(|name| !is_there(name)).collect();
        assert!(named.len() > 20, "it finds only {named:?}");
        assert!(missing.is_empty(), "named and not there: {missing:#?}");
    }
}

/// Whether a source has the test, or is in the module, of that name: the last parts of a path, with
/// a `*` for all of a module or for the rest of a name.
fn has((own, text): &Source, name: &str) -> bool {
    let whole = name.trim_end_matches("::*").trim_end_matches("::");
    let (module, function) = whole.rsplit_once("::").unwrap_or_default();
    // Tests in the file of what they test have a module of their own there.
    let file = module.strip_suffix("::tests").unwrap_or(module);
    let is_of = |module: &str| own.ends_with(&format!("::{module}::"));
    let item = match function.strip_suffix('*') {
        Some(beginning) => format!("fn {beginning}"),
        None => format!("fn {function}("),
    };
    let is_module = own.contains(&format!("::{whole}::"));
    is_module || ((is_of(module) || is_of(file)) && text.contains(&item))
}

/// The paths in a row of a table; of `a::{b, c}` each.
fn named_in(line: &str) -> impl Iterator<Item = String> {
    let row = line.strip_prefix('|').unwrap_or_default();
    // Between backticks is every second piece.
    let spans = row.split('`').skip(1).step_by(2);
    let is_of_path =
        |letter: char| letter.is_ascii_lowercase() || "_:*{}, 0123456789".contains(letter);
    let paths = spans.filter(move |span| span.contains("::") && span.chars().all(is_of_path));
    paths.flat_map(|path| {
        let (module, tests) = path.split_once('{').unwrap_or((path, ""));
        let tests = tests.trim_end_matches('}').split(", ");
        tests.map(move |test| format!("{module}{test}"))
    })
}

fn collect(folder: &Path, module: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" | "main" | "lib" => module.to_owned(),
            name => format!("{module}{name}::"),
        };
        if path.is_dir() {
            collect(&path, &module, sources);
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources.push((module, fs::read_to_string(path).unwrap()));
        }
    }
}
