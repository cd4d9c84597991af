//! Who may open a device node, as the sentence for whoever may not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The sentence for whoever may not open `path`.
#[must_use]
pub fn not_permitted(path: &Path, group: Option<&str>) -> String {
    let step = match group {
        Some(group) => format!(
            "it belongs to the group {group}: run `sudo usermod -aG {group} $USER`, then log in again"
        ),
        None => {
            "it belongs to root alone: give it the group video by a udev rule, as Raspberry Pi OS \
                 does, or run as root"
                .to_owned()
        }
    };
    format!("cannot open {}: permission denied; {step}", path.display())
}

/// The group to which a node belongs; `video` on every Raspberry Pi.
#[must_use]
pub fn group_of(path: &Path) -> Option<String> {
    let id = fs::metadata(path).ok()?.gid();
    group_name(&fs::read_to_string("/etc/group").unwrap_or_default(), id)
}

/// From lines `name:x:id:members`. To join root's group is no advice.
fn group_name(groups: &str, id: u32) -> Option<String> {
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&id.to_string()))?;
    Some(line.split(':').next()?.to_owned()).filter(|name| name != "root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_is_named_by_its_number_and_never_root() {
        let groups = "root:x:0:\nvideo:x:44:pi,anna\nplugdev:x:46:pi\n";
        assert_eq!(group_name(groups, 44).as_deref(), Some("video"));
        assert_eq!(group_name(groups, 0), None);
        assert_eq!(group_name(groups, 4), None);
        let said = |group: Option<&str>| not_permitted(Path::new("/dev/media2"), group);
        assert_eq!(
            said(Some("video")),
            "cannot open /dev/media2: permission denied; it belongs to the group video: run \
             `sudo usermod -aG video $USER`, then log in again"
        );
        assert!(said(None).contains("it belongs to root alone"));
    }
}
