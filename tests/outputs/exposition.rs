//! A strict reader of both texts of `/metrics`: what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

/// One family of samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Dialect {
    Text,
    OpenMetrics,
}

/// Families by the name in their TYPE line.
pub(crate) fn parse(text: &str, dialect: Dialect) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let body = match dialect {
        Dialect::Text => text,
        Dialect::OpenMetrics => text.strip_suffix("# EOF\n").expect("the end is marked"),
    };
    let mut families = BTreeMap::<String, Family>::new();
    let mut open: Option<String> = None;
    let mut help = None;
    for line in body.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            assert_eq!(help, None, "{line}: a help without a type before it");
            let sample = sample(line);
            let family = open.as_ref().unwrap_or_else(|| panic!("{line} comes before its type"));
            let kind = families[family].kind.as_str();
            let names = sample_names(family, kind, dialect);
            assert!(names.contains(&sample.name), "{line} is not of {family}, a {kind}");
            families.get_mut(family).unwrap().samples.push(sample);
            continue;
        };
        let (keyword, rest) = comment.split_once(' ').unwrap();
        let (name, said) = rest.split_once(' ').unwrap();
        match keyword {
            "HELP" => {
                assert!(said.len() > 10 && !said.contains(['"', '\\']), "{line}");
                assert_eq!(help.replace((name.to_owned(), said.to_owned())), None, "{line}");
            }
            "TYPE" => {
                let (helped, help) = help.take().unwrap_or_else(|| panic!("{line}: no help"));
                assert_eq!(helped, name);
                let family = Family { kind: said.to_owned(), help, samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                open = Some(name.to_owned());
            }
            "UNIT" => {
                assert_eq!(dialect, Dialect::OpenMetrics, "{line}");
                assert_eq!(open.as_deref(), Some(name), "{line}");
                assert!(name.ends_with(&format!("_{said}")), "{line}");
            }
            other => panic!("{other} in {line}"),
        }
    }
    for (name, family) in &families {
        check(name, family);
    }
    families
}

fn sample_names(family: &str, kind: &str, dialect: Dialect) -> Vec<String> {
    let with = |suffix: &str| format!("{family}{suffix}");
    match (kind, dialect) {
        ("gauge", _) | ("counter", Dialect::Text) => vec![family.to_owned()],
        ("counter", Dialect::OpenMetrics) => vec![with("_total")],
        ("info", Dialect::OpenMetrics) => vec![with("_info")],
        ("histogram", _) => vec![with("_bucket"), with("_sum"), with("_count")],
        other => panic!("{family} is of type {other:?}"),
    }
}

fn check(name: &str, family: &Family) {
    assert!(!family.samples.is_empty(), "{name} has no samples");
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.sort();
        let names: BTreeSet<_> = labels.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names.len(), labels.len(), "a label twice in {sample:?}");
        assert!(seen.insert((sample.name.clone(), labels)), "{sample:?} comes twice");
        let is_count = family.kind == "counter" || family.kind == "histogram";
        assert!(!is_count || sample.value >= 0.0, "{sample:?}");
    }
    if family.kind == "histogram" {
        check_histogram(name, family);
    }
}

/// Buckets rise, the last one has no bound and is the count.
fn check_histogram(name: &str, family: &Family) {
    let mut of = BTreeMap::<Vec<(String, String)>, Vec<&Sample>>::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.retain(|(label, _)| label != "le");
        of.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in of {
        let ending = |suffix: &str| {
            let wanted = format!("{name}{suffix}");
            samples.iter().filter(|sample| sample.name == wanted).copied().collect::<Vec<_>>()
        };
        let bounds: Vec<f64> = ending("_bucket")
            .iter()
            .map(|bucket| match bucket.label("le").unwrap() {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().unwrap(),
            })
            .collect();
        assert!(bounds.is_sorted() && bounds.last() == Some(&f64::INFINITY), "{labels:?}");
        let counts: Vec<f64> = ending("_bucket").iter().map(|bucket| bucket.value).collect();
        assert!(counts.is_sorted(), "{labels:?} {counts:?}");
        let (sums, totals) = (ending("_sum"), ending("_count"));
        assert_eq!((sums.len(), totals.len()), (1, 1), "{labels:?}");
        assert_eq!(counts.last(), Some(&totals[0].value), "{labels:?}");
    }
}

fn sample(line: &str) -> Sample {
    let (name, labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = labels(rest);
            (name, labels, rest.strip_prefix(' ').unwrap())
        }
        None => {
            let (name, value) = line.split_once(' ').unwrap();
            (name, Vec::new(), value)
        }
    };
    assert!(is_name(name), "{line}");
    assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap() }
}

/// From behind the opening bracket to behind the closing one.
fn labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut labels = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(is_name(name), "label {name}");
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().expect("the value ends") {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match letters.next().unwrap().1 {
                    'n' => '\n',
                    escaped @ ('"' | '\\') => escaped,
                    other => panic!("\\{other} is no escape"),
                }),
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name.to_owned(), value));
        match after[end..].split_at(1) {
            (",", more) => rest = more,
            ("}", behind) => return (labels, behind),
            other => panic!("{other:?} after a label"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
