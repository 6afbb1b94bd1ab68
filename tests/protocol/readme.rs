//! What the README shows is what the program has.

use warp_sentinel::settings::keys::markdown_table;

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/protected.rs");

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

fn between<'a>(begin: &str, end: &str) -> &'a str {
    let (_, rest) = README.split_once(begin).expect("the README has it");
    let (inner, _) = rest.split_once(end).expect("the README ends it");
    inner
}
