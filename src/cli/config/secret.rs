//! Files whose content nobody else may read: passwords, tokens, private keys.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// What is in such a file. Refuses one that every user of the machine can read; its group may, so that a service can
/// read what belongs to root.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    let about = file.metadata().with_context(|| format!("cannot look at {shown}"))?;
    ensure!(about.is_file(), "{shown} is no file");
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        bail!(
            "{shown} is open to every user of this machine (mode {mode:04o}); run: chmod o= {shown}"
        );
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() as u64 <= LONGEST,
        "{shown} has more than {LONGEST} bytes; is it the right file?"
    );
    Ok(bytes)
}

/// The first line of such a file.
pub(crate) fn read_line(path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read(path)?)
        .with_context(|| format!("{} is not UTF-8 text", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    ensure!(!line.is_empty(), "the first line of {} is empty", path.display());
    Ok(line.to_owned())
}

const LONGEST: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn file(dir: &TempDir, text: &str, mode: u32) -> std::path::PathBuf {
        let path = dir.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_first_line_without_its_end_is_the_secret() {
        let dir = TempDir::new().unwrap();
        for text in ["pass word ", "pass word \n", "pass word \r\nof the broker\n"] {
            assert_eq!(read_line(&file(&dir, text, 0o640)).unwrap(), "pass word ");
        }
    }

    #[test]
    fn refuses_what_others_can_read_and_what_is_none() {
        let dir = TempDir::new().unwrap();
        let refusal = |path: &Path| format!("{:#}", read_line(path).unwrap_err());
        let said = refusal(&file(&dir, "password", 0o644));
        assert!(said.contains("mode 0644") && said.contains("chmod o= "), "{said}");
        assert!(refusal(&file(&dir, "\n", 0o600)).contains("is empty"));
        assert!(refusal(&dir.path().join("none")).contains("cannot open"));
        assert!(refusal(dir.path()).contains("is no file"));
        assert!(
            refusal(&file(&dir, &"x".repeat(1 << 17), 0o600)).contains("more than 65536 bytes")
        );
    }
}
