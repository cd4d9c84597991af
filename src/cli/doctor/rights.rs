//! Whether this user may open what a run opens.
//!
//! ```text
//!   /dev/media0   root:video  crw-rw----     the kernel lets us?  ok
//!                                            else: in its group by /etc/group, and not in this session: log in again
//!                                                  not in it:  usermod
//! ```
//!
//! `render` and `i2c` are not asked for: nothing here renders on the GPU, and power monitors are read through sysfs.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::{getegid, geteuid, getgroups};

use super::check::{Check, Need, Question};
use super::host::Host;

const CAMERA: Question = Question::new(
    "camera rights",
    "media, video and sub-device nodes that this user may read and write",
);
const DISPLAY: Question =
    Question::new("screen rights", "a card under /dev/dri that this user may read and write");

pub(super) fn camera(host: &Host, need: Need) -> Check {
    let kinds = [("/dev", "media"), ("/dev", "video"), ("/dev", "v4l-subdev")];
    let nodes: Vec<String> = kinds
        .into_iter()
        .flat_map(|(folder, prefix)| {
            host.numbered(folder, prefix).into_iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    check(CAMERA, host, &nodes, need)
}

pub(super) fn display(host: &Host, need: Need) -> Check {
    let cards = host.numbered("/dev/dri", "card").into_iter();
    let nodes: Vec<String> = cards.map(|name| format!("/dev/dri/{name}")).collect();
    check(DISPLAY, host, &nodes, need)
}

fn check(question: Question, host: &Host, nodes: &[String], need: Need) -> Check {
    let groups = Groups::parse(&host.text("/etc/group").unwrap_or_default());
    if !host.is_this() {
        return of_the_files(question, &groups, need);
    }
    if nodes.is_empty() {
        return question.skipped("there is nothing to open");
    }
    let refused: Vec<Refused> = nodes
        .iter()
        .filter(|node| access(node.as_str(), Access::READ_OK | Access::WRITE_OK).is_err())
        .map(|node| Refused { node: node.clone(), group: owner(Path::new(node), &groups) })
        .collect();
    judge(question, &User::this(host, &groups), nodes.len(), &refused, need)
}

/// A machine that is off has no users at work, but a list of who is in which group.
fn of_the_files(question: Question, groups: &Groups, need: Need) -> Check {
    match groups.members(VIDEO) {
        None => question.skipped("no group video in these files"),
        Some([]) => question.missing(
            need,
            "nobody is in the group video",
            "on the machine itself: `sudo usermod -aG video $USER`, then log in again",
        ),
        Some(members) => question.ok(format!("in the group video: {}", members.join(", "))),
    }
}

/// A node that may not be opened, and the group that may.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    node: String,
    group: Option<String>,
}

fn owner(node: &Path, groups: &Groups) -> Option<String> {
    let id = std::fs::metadata(node).ok()?.gid();
    groups.name(id).filter(|name| name != "root")
}

fn judge(question: Question, user: &User, count: usize, refused: &[Refused], need: Need) -> Check {
    let Some(first) = refused.first() else {
        return question.ok(match (user.is_root, user.session.is_empty()) {
            (true, _) => format!("root may open all {count}"),
            (false, true) => format!("all {count} may be opened"),
            (false, false) => {
                let groups = user.session.iter().map(String::as_str).collect::<Vec<_>>();
                format!("all {count} may be opened; groups: {}", groups.join(", "))
            }
        });
    };
    let found = format!("{} of {count} may not be opened, such as {}", refused.len(), first.node);
    let groups: BTreeSet<&str> =
        refused.iter().filter_map(|refused| refused.group.as_deref()).collect();
    let new: Vec<&str> =
        groups.iter().copied().filter(|group| !user.listed.contains(*group)).collect();
    let next = if groups.is_empty() {
        "they belong to root alone: a udev rule that gives them the group video, as Raspberry Pi OS has it"
            .to_owned()
    } else if new.is_empty() {
        let groups: Vec<&str> = groups.into_iter().collect();
        format!(
            "log out and in again: you are in {}, but not yet in this session",
            groups.join(", ")
        )
    } else {
        format!("`sudo usermod -aG {} $USER`, then log in again", new.join(","))
    };
    question.missing(need, found, next)
}

/// Who runs this.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    is_root: bool,
    /// Groups of this session.
    session: BTreeSet<String>,
    /// Groups by /etc/group, which hold after the next login.
    listed: BTreeSet<String>,
}

impl User {
    fn this(host: &Host, groups: &Groups) -> Self {
        let uid = geteuid().as_raw();
        let passwd = host.text("/etc/passwd").unwrap_or_default();
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
        });
        let ids = getgroups().unwrap_or_default().into_iter().chain([getegid()]);
        Self {
            is_root: uid == 0,
            session: ids.filter_map(|id| groups.name(id.as_raw())).collect(),
            listed: name.map(|name| groups.of(&name)).unwrap_or_default(),
        }
    }
}

/// `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Groups(Vec<Group>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    id: u32,
    members: Vec<String>,
}

impl Groups {
    /// Lines `name:x:id:member,member`; others are passed over.
    fn parse(text: &str) -> Self {
        let group = |line: &str| {
            let mut fields = line.split(':');
            let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
            let members = fields.next().unwrap_or_default().split(',');
            let members = members.map(str::trim).filter(|member| !member.is_empty());
            Some(Group { name: name.to_owned(), id, members: members.map(str::to_owned).collect() })
        };
        Self(text.lines().filter_map(group).collect())
    }

    fn name(&self, id: u32) -> Option<String> {
        self.0.iter().find(|group| group.id == id).map(|group| group.name.clone())
    }

    fn of(&self, user: &str) -> BTreeSet<String> {
        let theirs =
            self.0.iter().filter(|group| group.members.iter().any(|member| member == user));
        theirs.map(|group| group.name.clone()).collect()
    }

    fn members(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|group| group.name == name).map(|group| group.members.as_slice())
    }
}

const VIDEO: &str = "video";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn user(session: &[&str], listed: &[&str]) -> User {
        User { is_root: false, session: set(session), listed: set(listed) }
    }

    fn refused(node: &str, group: Option<&str>) -> Refused {
        Refused { node: node.to_owned(), group: group.map(str::to_owned) }
    }

    #[test]
    fn group_that_is_missing_is_the_next_step() {
        let node = [refused("/dev/media0", Some("video")), refused("/dev/video1", Some("video"))];
        let check = judge(CAMERA, &user(&["pi"], &[]), 3, &node, Need::Hoped);
        assert_eq!(check.verdict, Verdict::Warn);
        assert_eq!(check.found, "2 of 3 may not be opened, such as /dev/media0");
        assert_eq!(
            check.next.as_deref(),
            Some("`sudo usermod -aG video $USER`, then log in again")
        );
        let required = judge(CAMERA, &user(&[], &[]), 3, &node, Need::Required);
        assert_eq!(required.verdict, Verdict::Fail);
    }

    #[test]
    fn group_of_the_next_login_needs_a_login_and_root_s_nodes_a_rule() {
        let next = |user: &User, refused: Refused| {
            judge(DISPLAY, user, 1, &[refused], Need::Hoped).next.unwrap()
        };
        let listed = user(&["pi"], &["video"]);
        assert!(
            next(&listed, refused("/dev/dri/card0", Some("video"))).starts_with("log out and in")
        );
        assert!(next(&listed, refused("/dev/dri/card0", None)).contains("udev rule"));
    }

    #[test]
    fn who_may_open_all_is_told_with_their_groups() {
        let check = judge(CAMERA, &user(&["video", "pi"], &[]), 12, &[], Need::Required);
        assert_eq!(check.verdict, Verdict::Ok);
        assert_eq!(check.found, "all 12 may be opened; groups: pi, video");
    }

    #[test]
    fn files_of_a_machine_tell_who_is_in_the_group() {
        let judged = |text: &str| of_the_files(CAMERA, &Groups::parse(text), Need::Hoped);
        assert_eq!(judged("root:x:0:\nvideo:x:44:pi,anna\n").found, "in the group video: pi, anna");
        assert_eq!(judged("video:x:44:\nnonsense\n").verdict, Verdict::Warn);
        assert_eq!(judged("").verdict, Verdict::Skipped);
    }
}
