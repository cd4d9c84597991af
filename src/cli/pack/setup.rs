//! `pack --setup DIR`: a Python virtual environment with Sony's converter, once its licence is accepted.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use qsegment::source::clock::{Clock, StopSignal};
use serde::Serialize;

use crate::cli::Form;
use crate::cli::out::{Out, tell};
use crate::cli::progress::Progress;

/// Makes the environment in `folder`, which must be new or empty.
pub(super) fn setup(
    folder: &Path,
    python: Option<&Path>,
    accepted: bool,
    form: Form,
    out: &mut Out,
) -> anyhow::Result<()> {
    let clock = Clock::monotonic(StopSignal::default());
    let began = clock.now();
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    ensure!(is_empty, "{} is not empty; give a new folder", folder.display());
    let python = find_python(python)?;
    check_java()?;
    consent(accepted)?;
    let made = install(&python, folder);
    if made.is_err() {
        // A half-made environment would look like a whole one.
        fs::remove_dir_all(folder)
            .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
            .with_context(|| format!("cannot remove the half-made {}", folder.display()))?;
    }
    let converter = made?;
    let seconds = clock.now().since(began).as_secs_f64();
    match form {
        Form::Text => {
            out.line(format_args!(
                "{converter} is in {} after {seconds:.0} s\nnext     qsegment pack --venv {} NETWORK.onnx",
                folder.display(),
                folder.display()
            ))?;
        }
        Form::Json => {
            let folder = folder.display().to_string();
            out.json(&SetUp { version: 1, folder, converter, seconds })?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct SetUp {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    folder: String,
    converter: String,
    seconds: f64,
}

fn install(python: &Path, folder: &Path) -> anyhow::Result<String> {
    let bar = Progress::new(Some(3));
    let step = |n: u64, says: &str| {
        bar.set(n);
        bar.say(says.to_owned());
        if !std::io::stderr().is_terminal() {
            tell(format_args!("setup: {says}"));
        }
    };
    step(0, "making the virtual environment");
    run(Command::new(python).args(["-m", "venv"]).arg(folder), "making the virtual environment")?;
    step(1, "downloading and installing the converter (about 560 MB)");
    let requirements = tempfile::Builder::new().suffix(".txt").tempfile()?;
    requirements.as_file().write_all(REQUIREMENTS.as_bytes())?;
    let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"];
    run(
        Command::new(folder.join("bin/python")).args(pip).arg(requirements.path()),
        "installing the converter",
    )?;
    step(2, "trying it");
    let converter = folder.join("bin/imxconv-pt");
    let version = run(Command::new(converter).arg("--version"), "trying the converter")?;
    step(3, "done");
    let version = version.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(version.trim().to_owned())
}

/// Runs a step and returns what it printed; a failure quotes its last line.
fn run(command: &mut Command, step: &str) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{step}: cannot start it"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = complaint.lines().chain(said.lines()).rfind(|line| !line.trim().is_empty());
    if complaint.contains("ensurepip is not available") {
        bail!("{step}: this Python has no venv; install it (apt install python3-venv)");
    }
    if complaint.contains("No matching distribution") {
        bail!(
            "{step}: pip finds no imx500-converter for this Python or processor; it is published for \
               x86-64 Linux and Python 3.10 to 3.12: {}",
            last.unwrap_or_default()
        );
    }
    bail!("{step} failed: {}", last.unwrap_or("without a word").trim());
}

/// The first Python that the converter runs on.
fn find_python(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let candidates: Vec<OsString> = match given {
        Some(path) => vec![path.into()],
        None => PYTHONS.map(OsString::from).to_vec(),
    };
    let mut seen = Vec::new();
    for candidate in candidates {
        let Some(version) = python_version(&candidate) else { continue };
        if matches!(version, (3, 10..=12)) {
            return Ok(candidate.into());
        }
        seen.push(format!("{} is {}.{}", candidate.display(), version.0, version.1));
    }
    let found = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
    bail!(
        "the converter needs Python 3.10 to 3.12, found {found}; install one and name it with --python"
    );
}

fn python_version(program: &OsString) -> Option<(u32, u32)> {
    let script = "import sys; print(*sys.version_info[:2])";
    let output = Command::new(program).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn check_java() -> anyhow::Result<()> {
    let advice = "install Java 17 (apt install openjdk-17-jre-headless)";
    let Ok(output) = Command::new("java").arg("-version").output() else {
        bail!("the converter needs Java, and there is none; {advice}");
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_major(&text) {
        Some(major) if major >= 17 => Ok(()),
        Some(major) => bail!("the converter needs Java 17 or newer, found {major}; {advice}"),
        None => {
            bail!("the converter needs Java, and `java -version` says nothing of use; {advice}")
        }
    }
}

/// `openjdk version "17.0.15" 2025-04-15`; up to Java 8 it was `"1.8.0_392"`.
fn java_major(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut numbers = version.split(['.', '_', '-', '+']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

fn consent(accepted: bool) -> anyhow::Result<()> {
    tell(TERMS);
    if accepted {
        return Ok(());
    }
    ensure!(
        std::io::stdin().is_terminal(),
        "nobody is there to be asked; give --accept-sony-licence if you accept the terms"
    );
    tell("Do you accept them? [y/N]");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "not accepted; nothing was installed");
    Ok(())
}

const TERMS: &str = "\
Sony's imx500-converter and its parts are not part of qsegment. They are downloaded from the Python
package index under Sony's own licence: use as the licence allows, no distribution. What the converter
writes (packerOut.zip, and an .rpk made of it) holds parts of Sony's; keep it to yourself unless your
agreement with Sony says otherwise. The licence comes with the packages (imx500-converter, sdspconv, uni).";

const REQUIREMENTS: &str = include_str!("../../../packaging/requirements.txt");
const PYTHONS: [&str; 4] = ["python3.12", "python3.11", "python3.10", "python3"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read_in_both_forms() {
        for (text, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK", Some(17)),
            ("java version \"1.8.0_392\"", Some(8)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("bash: java: not found", None),
        ] {
            assert_eq!(java_major(text), major, "{text}");
        }
    }
}
