//! A question about the machine, and its answer: verdict, what was found, what to do about it.

use std::fmt::{self, Display};

use serde::Serialize;

/// Something that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    name: &'static str,
    /// What would be right, in words.
    wanted: &'static str,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    pub(super) wanted: &'static str,
    /// A command, a key, a cable, one a line; none where nothing is to be done.
    pub(super) next: Option<String>,
}

/// Best first, so that the worst of several is their greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// It cannot be known here, or nobody needs it.
    Skipped,
    /// `qsegment run` starts, with less than there could be.
    Warn,
    /// `qsegment run` would not start: the configuration asks for it.
    Fail,
}

/// How much the configuration wants a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It names it.
    Required,
    /// It takes one that is there (`auto`).
    Hoped,
    /// It does without.
    None,
}

impl Question {
    pub(super) const fn new(name: &'static str, wanted: &'static str) -> Self {
        Self { name, wanted }
    }

    pub(super) fn ok(self, found: impl Into<String>) -> Check {
        self.answer(Verdict::Ok, found, None)
    }

    pub(super) fn skipped(self, why: impl Into<String>) -> Check {
        self.answer(Verdict::Skipped, why, None)
    }

    /// Skipped here, and how to find out.
    pub(super) fn unknown(self, why: impl Into<String>, next: impl Into<String>) -> Check {
        self.answer(Verdict::Skipped, why, Some(next.into()))
    }

    pub(super) fn warn(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        self.answer(Verdict::Warn, found, Some(next.into()))
    }

    pub(super) fn fail(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        self.answer(Verdict::Fail, found, Some(next.into()))
    }

    /// As bad as the need is great.
    pub(super) fn missing(
        self,
        need: Need,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Check {
        match need {
            Need::Required => self.fail(found, next),
            Need::Hoped => self.warn(found, next),
            Need::None => self.skipped(found),
        }
    }

    fn answer(self, verdict: Verdict, found: impl Into<String>, next: Option<String>) -> Check {
        Check { name: self.name, verdict, found: found.into(), wanted: self.wanted, next }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:8} {:19} {}", self.verdict.word(), self.name, self.found)?;
        let mut label = "next:";
        for step in self.next.iter().flat_map(|next| next.lines()) {
            write!(f, "\n{:30} {label:5} {step}", "")?;
            label = "";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRMWARE: Question = Question::new("firmware", "two files");

    #[test]
    fn what_is_missing_is_as_bad_as_the_need_is_great() {
        let verdict = |need| FIRMWARE.missing(need, "none", "install it").verdict;
        assert_eq!(verdict(Need::Required), Verdict::Fail);
        assert_eq!(verdict(Need::Hoped), Verdict::Warn);
        assert_eq!(verdict(Need::None), Verdict::Skipped);
        assert!(Verdict::Fail > Verdict::Warn && Verdict::Warn > Verdict::Skipped);
    }

    #[test]
    fn next_step_stands_under_what_was_found() {
        assert_eq!(FIRMWARE.ok("both").to_string(), "  ok       firmware            both");
        let said = FIRMWARE.fail("none", "install it").to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[1].find("next: install it"), Some(31));
        let said = FIRMWARE.fail("none", "install it\nstart again").to_string();
        assert_eq!(said.lines().nth(2).unwrap().find("start again"), Some(37));
    }
}
