//! The document as one HTML file: no script, no network, light, dark and print.

use std::fmt::Write as _;

use super::document::{Block, Cell, Document, Table};

pub(super) fn write(document: &Document) -> String {
    let title = escape(document.title);
    let disclaimer = escape(document.disclaimer);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p class=\"disclaimer\">{disclaimer}</p>\n"
    );
    html.push_str("<nav>\n");
    for (number, section) in (1..).zip(&document.sections) {
        let _ = writeln!(html, "<a href=\"#s{number}\">{}</a>", escape(section.heading));
    }
    html.push_str("</nav>\n");
    for (number, section) in (1..).zip(&document.sections) {
        let _ = write!(html, "<section>\n<h2 id=\"s{number}\">{}</h2>\n", escape(section.heading));
        for block in &section.blocks {
            write_block(&mut html, block);
        }
        html.push_str("</section>\n");
    }
    let _ = write!(html, "<footer>{disclaimer}</footer>\n</main>\n</body>\n</html>\n");
    html
}

fn write_block(html: &mut String, block: &Block) {
    // Writing to a String cannot fail.
    let _ = match block {
        Block::Paragraph(words) => writeln!(html, "<p>{}</p>", escape(words)),
        Block::Command(command) => writeln!(html, "<pre>{}</pre>", escape(command)),
        Block::Plot { svg, caption } => {
            writeln!(html, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption))
        }
        Block::List(items) => {
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
            writeln!(html, "<ul>\n{items}</ul>")
        }
        Block::Table(table) => {
            write_table(html, table);
            Ok(())
        }
    };
}

fn write_table(html: &mut String, table: &Table) {
    html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for head in &table.head {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(head));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = match cell {
                Cell::Text(words) => write!(html, "<td>{}</td>", escape(words)),
                Cell::Number(words) => write!(html, "<td class=\"number\">{}</td>", escape(words)),
                Cell::Quality(basis) => {
                    let class = basis.name().replace(' ', "-");
                    write!(html, "<td><span class=\"quality {class}\">{}</span></td>", basis.name())
                }
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

/// Text that stands in HTML as itself, in attributes too.
pub(super) fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stands_as_itself() {
        assert_eq!(
            escape("<a href='x' id=\"y\">&"),
            "&lt;a href=&#39;x&#39; id=&quot;y&quot;&gt;&amp;"
        );
        let mut html = String::new();
        let rows = vec![vec![Cell::Text("<script>".to_owned())]];
        write_table(&mut html, &Table { head: vec!["x"], rows });
        assert!(html.contains("<td>&lt;script&gt;</td>"), "{html}");
    }
}
