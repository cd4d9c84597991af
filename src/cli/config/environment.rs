//! Keys set by the environment: `QSEGMENT_SECTION_KEY`, over the file and under the command line.
//!
//! ```text
//!   QSEGMENT_PIPELINE_THRESHOLD=0.4      pipeline.threshold = 0.4
//!   QSEGMENT_NETWORK_FILE=fast           network.file = "fast": a word needs no quotes
//! ```
//!
//! A variable whose second word is a section but whose rest is no key of it is refused, as a key in the file would
//! be. Others that begin with `QSEGMENT_` mean something else, such as `QSEGMENT_LOG`.

use anyhow::{Context, bail};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::Config;
use super::file::{known_keys, unknown_key};

/// `config` with what `variables`, names and values, say. Of each that is wrong the error names it.
pub(super) fn over(
    config: Config,
    variables: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<Config> {
    let known = known_keys();
    let mut set: Vec<(String, String, String)> = Vec::new();
    for (name, value) in variables {
        if let Some(key) = key_of(&name, &known).with_context(|| named(&name))? {
            set.push((name, key, value));
        }
    }
    // The environment has no order; of two that are wrong the same one is always named.
    set.sort();
    let any = !set.is_empty();
    let config = set.into_iter().try_fold(config, |config, (name, key, value)| {
        with(&config, &key, &value).with_context(|| named(&name))
    })?;
    if any {
        // At the end, since one variable may only be right with another.
        config.check().context("environment")?;
    }
    Ok(config)
}

fn named(variable: &str) -> String {
    format!("environment variable {variable}")
}

/// The key that a variable sets, as `section.key`; nothing if it is none of ours.
fn key_of(variable: &str, known: &[String]) -> anyhow::Result<Option<String>> {
    let Some(rest) = variable.strip_prefix(PREFIX) else { return Ok(None) };
    let name_of = |key: &str| key.replace('.', "_").to_ascii_uppercase();
    if let Some(key) = known.iter().find(|key| key.contains('.') && name_of(key) == rest) {
        return Ok(Some(key.clone()));
    }
    let mut sections = known.iter().filter(|key| !key.contains('.'));
    let section = sections.find(|section| {
        rest.strip_prefix(name_of(section).as_str()).is_some_and(|rest| rest.starts_with('_'))
    });
    if let Some(section) = section {
        let key = rest[section.len() + 1..].to_ascii_lowercase();
        bail!(unknown_key(&format!("{section}.{key}"), known));
    }
    Ok(None)
}

fn with(config: &Config, key: &str, text: &str) -> anyhow::Result<Config> {
    let mut table = Table::try_from(config)?;
    let value = key
        .split_once('.')
        .and_then(|(section, key)| table.get_mut(section)?.as_table_mut()?.get_mut(key));
    let value = value.context("a known key is a value of its section")?;
    // What is text by default stays text: the camera "10" is not the number.
    *value = match value {
        Value::String(_) => Value::String(text.to_owned()),
        _ => literal(text).unwrap_or_else(|| Value::String(text.to_owned())),
    };
    let config = Config::deserialize(table).map_err(|error| {
        anyhow::anyhow!(error.message().lines().next().unwrap_or("").to_owned())
    })?;
    Ok(config)
}

/// `text` as TOML writes numbers, switches and lists.
fn literal(text: &str) -> Option<Value> {
    toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value")
}

const PREFIX: &str = "QSEGMENT_";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        over(Config::default(), variables.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())))
    }

    fn refusal(name: &str, value: &str) -> String {
        format!("{:#}", set(&[(name, value)]).unwrap_err())
    }

    #[test]
    fn sets_numbers_words_switches_and_lists() {
        let config = set(&[
            ("QSEGMENT_PIPELINE_THRESHOLD", "0.25"),
            ("QSEGMENT_NETWORK_FILE", "fast"),
            ("QSEGMENT_CAMERA_ID", "10"),
            ("QSEGMENT_OVERLAY_SKELETON", "true"),
            ("QSEGMENT_SOURCE_INFERENCE_WINDOW", "[0, 0, 2028, 1520]"),
            ("QSEGMENT_WEB_LISTEN", "127.0.0.1:9000"),
        ]);
        let text = "[pipeline]\nthreshold = 0.25\n[network]\nfile = \"fast\"\n[camera]\nid = \"10\"\n\
            [overlay]\nskeleton = true\n[source]\ninference_window = [0, 0, 2028, 1520]\n\
            [web]\nlisten = \"127.0.0.1:9000\"\n";
        assert_eq!(config.unwrap(), toml::from_str(text).unwrap());
    }

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let known = known_keys();
        for key in known.iter().filter(|key| key.contains('.')) {
            let variable = format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase());
            assert_eq!(key_of(&variable, &known).unwrap().as_ref(), Some(key));
        }
    }

    #[test]
    fn a_list_may_be_a_word() {
        let config = set(&[("QSEGMENT_SOURCE_INFERENCE_WINDOW", "fill")]).unwrap();
        let wanted = toml::from_str("[source]\ninference_window = \"fill\"\n").unwrap();
        assert_eq!(config, wanted);
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        assert_eq!(
            refusal("QSEGMENT_PIPELINE_THRESHOLD", "1.5"),
            "environment variable QSEGMENT_PIPELINE_THRESHOLD: 1.5 is not between 0.0 and 1.0"
        );
        assert_eq!(
            refusal("QSEGMENT_PIPELINE_TRESHOLD", "0.5"),
            "environment variable QSEGMENT_PIPELINE_TRESHOLD: unknown key `pipeline.treshold`; \
             did you mean `pipeline.threshold`?"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_found_when_all_are_set() {
        let pair = [("QSEGMENT_MQTT_PASSWORD_FILE", "/password"), ("QSEGMENT_MQTT_USER", "camera")];
        assert_eq!(set(&pair).unwrap().mqtt.user, "camera");
        assert_eq!(
            refusal(pair[0].0, pair[0].1),
            "environment: mqtt.password_file: a password without a user; set mqtt.user too"
        );
    }

    #[test]
    fn leaves_variables_that_mean_something_else() {
        let others = [("QSEGMENT_LOG", "debug"), ("QSEGMENT_KERNEL", "scalar"), ("PATH", "/bin")];
        assert_eq!(set(&others).unwrap(), Config::default());
    }
}
