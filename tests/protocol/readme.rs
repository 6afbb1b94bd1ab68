//! What the README shows is what the program has.

use warp_sentinel::settings::keys::markdown_table;

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/protected.rs");
/// What the tests of client libraries use.
const PINNED: [&str; 3] = [
    include_str!("../../Cargo.lock"),
    include_str!("../clients/python/requirements.txt"),
    include_str!("../clients/javascript/package.json"),
];

#[test]
fn the_settings_table_is_the_one_of_the_program() {
    let shown = between("## Settings\n", "\n## ")
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| format!("{line}\n"));
    let shown: String = shown.collect();
    let own = markdown_table();
    assert_eq!(shown, own, "put this into the README:\n{own}");
}

#[test]
fn the_example_is_the_one_that_is_compiled() {
    assert_eq!(between("```rust\n", "```\n"), EXAMPLE);
}

#[test]
fn the_client_libraries_are_those_that_are_tested() {
    let table = between("| library |", "\n\n");
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), 7, "{table}");
    for row in rows {
        let (library, _) = row["| ".len()..].split_once(',').unwrap();
        let (name, version) = library.split_once(' ').unwrap();
        let pins = [
            format!("name = \"{name}\"\nversion = \"{version}\"\n"),
            format!("{name}=={version}\n"),
            format!("\"{name}\": \"{version}\""),
        ];
        let mut places = PINNED.iter().zip(&pins);
        assert!(places.any(|(place, pin)| place.contains(pin)), "{library}");
    }
}

fn between<'a>(begin: &str, end: &str) -> &'a str {
    let (_, rest) = README.split_once(begin).expect("the README has it");
    let (inner, _) = rest.split_once(end).expect("the README ends it");
    inner
}
