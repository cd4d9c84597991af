//! Reading a configuration file, with refusals that name the line and the key.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;

/// Parses the text of the file `name`.
pub(crate) fn parse(text: &str, name: &Path) -> anyhow::Result<Config> {
    let name = name.display();
    let place = |span: Option<Range<usize>>| match span {
        Some(span) => format!("{name} line {}", line_of(text, span.start)),
        None => format!("{name}"),
    };
    // `deny_unknown_fields` would refuse these too, but could only list every key there is.
    let table = DeTable::parse(text)
        .map_err(|e| anyhow::anyhow!("{}: {}", place(e.span()), one_line(e.message())))?;
    let known = known_keys();
    if let Some((key, span)) = first_unknown(table.get_ref(), "", &known) {
        bail!("{}: {}", place(Some(span)), unknown_key(&key, &known));
    }
    let config: Config = toml::from_str(text)
        .map_err(|e| anyhow::anyhow!("{}: {}", place(e.span()), one_line(e.message())))?;
    config.check().with_context(|| name.to_string())?;
    Ok(config)
}

/// Every key of the type: tables as `source`, values as `source.scene`.
pub(super) fn known_keys() -> Vec<String> {
    let table = toml::Table::try_from(Config::default())
        .expect("every default is a TOML value; a test writes them all");
    let mut keys = Vec::new();
    for (section, value) in &table {
        keys.push(section.clone());
        let inner = value.as_table().into_iter().flat_map(toml::Table::keys);
        keys.extend(inner.map(|key| format!("{section}.{key}")));
    }
    keys
}

fn first_unknown(
    table: &DeTable<'_>,
    prefix: &str,
    known: &[String],
) -> Option<(String, Range<usize>)> {
    let mut entries: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().find_map(|(key, value)| {
        let path = format!("{prefix}{}", key.get_ref());
        if !known.contains(&path) {
            return Some((path, key.span()));
        }
        first_unknown(value.get_ref().as_table()?, &format!("{path}."), known)
    })
}

pub(super) fn unknown_key(key: &str, known: &[String]) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    // A key in the wrong section keeps its own name, a mistyped one most of its letters.
    let nearest = known
        .iter()
        .map(|known| {
            let whole = strsim::damerau_levenshtein(key, known);
            (whole.min(strsim::damerau_levenshtein(&last(key), &last(known)) + 1), known)
        })
        .min()
        .filter(|(distance, _)| *distance <= FARTHEST_GUESS);
    match nearest {
        Some((_, nearest)) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        None => format!("unknown key `{key}`; `qsegment config show` prints every key"),
    }
}

/// Edits between a mistyped key and the one that was meant; with more, the guess would mislead.
const FARTHEST_GUESS: usize = 4;

/// Line, counted from 1, of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text, Path::new("my.toml")).unwrap_err())
    }

    #[test]
    fn names_the_line_and_the_nearest_key() {
        assert_eq!(
            refusal("[source]\nseed = 2\nsceen = \"phantom\"\n"),
            "my.toml line 3: unknown key `source.sceen`; did you mean `source.scene`?"
        );
        assert_eq!(
            refusal("[sauce]\nseed = 2\n"),
            "my.toml line 1: unknown key `sauce`; did you mean `source`?"
        );
    }

    #[test]
    fn finds_a_key_in_the_wrong_section() {
        assert_eq!(
            refusal("[overlay]\nthreshold = 0.3\n"),
            "my.toml line 2: unknown key `overlay.threshold`; did you mean `pipeline.threshold`?"
        );
    }

    #[test]
    fn guesses_nothing_for_a_key_like_no_other() {
        assert_eq!(
            refusal("[web]\nbackground_colour = 3\n"),
            "my.toml line 2: unknown key `web.background_colour`; \
             `qsegment config show` prints every key"
        );
    }

    #[test]
    fn a_wrong_value_names_its_line() {
        let wrong = refusal("[source]\npace = \"fast\"\n");
        assert!(wrong.starts_with("my.toml line 2: "), "{wrong}");
        assert!(wrong.contains("`real`") && wrong.contains("`max`"), "{wrong}");
        let wrong = refusal("[pipeline]\n\nthreshold = 1.5\n");
        assert_eq!(wrong, "my.toml line 3: 1.5 is not between 0.0 and 1.0");
        let wrong = refusal("[pipeline\n");
        assert!(wrong.starts_with("my.toml line 1: "), "{wrong}");
        assert_eq!(wrong.lines().count(), 1);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("", Path::new("my.toml")).unwrap(), Config::default());
    }
}
