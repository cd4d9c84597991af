//! The document as Markdown, for people who read it in a terminal or on a code host.

use std::fmt::Write as _;

use super::document::{Block, Cell, Document, Table};

pub(super) fn write(document: &Document) -> String {
    let mut text = format!("# {}\n\n**{}**\n", document.title, escape(document.disclaimer));
    for section in &document.sections {
        let _ = write!(text, "\n## {}\n", escape(section.heading));
        for block in &section.blocks {
            text.push('\n');
            write_block(&mut text, block);
        }
    }
    text
}

fn write_block(text: &mut String, block: &Block) {
    // Writing to a String cannot fail.
    let _ = match block {
        Block::Paragraph(words) => writeln!(text, "{}", escape(words)),
        Block::List(items) => {
            items.iter().try_for_each(|item| writeln!(text, "- {}", escape(item)))
        }
        Block::Command(command) => writeln!(text, "```sh\n{command}\n```"),
        Block::Plot { caption, .. } => {
            writeln!(text, "*Drawn in system.html:* {}", escape(caption))
        }
        Block::Table(table) => {
            write_table(text, table);
            Ok(())
        }
    };
}

fn write_table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "| {} |", table.head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(table.head.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(words) | Cell::Number(words) => escape(words),
        Cell::Quality(basis) => basis.name().to_owned(),
    }
}

/// What Markdown would take for markup: in names of files and in what devices say, anything can be.
fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_its_table() {
        let rows = vec![vec![Cell::Text("a|b\nc".to_owned()), Cell::Number("1 *ms*".to_owned())]];
        let mut text = String::new();
        write_table(&mut text, &Table { head: vec!["x", "y"], rows });
        assert_eq!(text, "| x | y |\n|---|---|\n| a\\|b c | 1 \\*ms\\* |\n");
    }
}
