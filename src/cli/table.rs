//! Tables for people.

use super::output::printable;

/// Lays rows out in columns, two blanks apart; `head` names the columns.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_uppercase);
    let rows = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| shown(cell)));
    let lines: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let laid_out = lines.iter().map(|line| {
        let cells = line.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    });
    laid_out.collect::<Vec<_>>().join("\n")
}

/// A cell; an empty one is shown, so that columns can be counted.
fn shown(cell: &str) -> String {
    if cell.is_empty() {
        "-".to_owned()
    } else {
        printable(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |name: &str, scope: &str| [name.to_owned(), scope.to_owned()];
        let text = table(
            ["name", "scope"],
            &[row("jürgen", "read"), row("anna", ""), row("a\nb", "x")],
        );
        assert_eq!(text, "NAME    SCOPE\njürgen  read\nanna    -\na\\nb    x");
    }

    #[test]
    fn an_empty_table_is_its_head() {
        assert_eq!(table(["id", "name"], &[]), "ID  NAME");
    }
}
