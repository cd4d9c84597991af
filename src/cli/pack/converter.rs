//! Finding Sony's converter and running it: its lines become progress, and its whole output a log.

use std::env;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::complaint;
use crate::cli::out::{is_watched, tell};
use crate::cli::progress::Progress;
use crate::cli::{Code, Failure};

/// Sony's converter on this machine.
pub(super) struct Converter(PathBuf);

impl Converter {
    /// In the virtual environment given, in `QSEGMENT_IMXCONV`, or on PATH.
    pub(super) fn find(venv: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(venv) = venv {
            let path = venv.join("bin").join(PROGRAM);
            if !path.is_file() {
                bail!(
                    "--venv {}: has no bin/{PROGRAM}; install it with: qsegment pack --setup {}",
                    venv.display(),
                    venv.display()
                );
            }
            return Ok(Self(path));
        }
        if let Some(path) = env::var_os(VARIABLE).map(PathBuf::from) {
            if !path.is_file() {
                bail!("{VARIABLE}={}: there is no such file", path.display());
            }
            return Ok(Self(path));
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&folders).map(|dir| dir.join(PROGRAM)).find(|p| p.is_file());
        found.map(Self).ok_or_else(|| {
            anyhow!(
                "Sony's converter {PROGRAM} was not found in --venv, in {VARIABLE} or on PATH; install \
                 it with: qsegment pack --setup DIR"
            )
        })
    }

    /// Converts `input`; returns the packerOut.zip in `folder`. Everything that the converter prints goes
    /// to `log`, which stays there only if it fails.
    pub(super) fn run(
        &self,
        input: &Path,
        folder: &Path,
        input_persistency: bool,
        log: &Path,
    ) -> Result<PathBuf, Failure> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for the converter")?;
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut output =
            Output { file, lines: Vec::new(), bar: Progress::new(Some(STAGES)), stage: 0 };
        let ended = runtime.block_on(self.converted(input, folder, input_persistency, &mut output));
        let Output { lines, .. } = output;
        let zip = folder.join("packerOut.zip");
        match ended? {
            Ended::Stopped => {
                // Nobody needs the log of what he has stopped himself.
                let _ = std::fs::remove_file(log);
                let error = anyhow!("stopped by a signal; nothing was written");
                Err(Failure { code: Code::Failed, error })
            }
            Ended::Exited(status) if status.success() && zip.is_file() => {
                let _ = std::fs::remove_file(log);
                Ok(zip)
            }
            Ended::Exited(status) => {
                let cause = complaint::sentence(&lines, &ending(status));
                Err(anyhow!("{cause} (whole log: {})", log.display()).into())
            }
        }
    }

    async fn converted(
        &self,
        input: &Path,
        folder: &Path,
        input_persistency: bool,
        output: &mut Output,
    ) -> anyhow::Result<Ended> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut child =
            self.command(input, folder, input_persistency).spawn().with_context(|| {
                format!("cannot start {}; is it complete? try it with --version", self.0.display())
            })?;
        let (send, mut lines) = mpsc::channel(64);
        read_lines(child.stdout.take(), send.clone());
        read_lines(child.stderr.take(), send);
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                line = lines.recv() => match line {
                    Some(line) => output.take(line)?,
                    None => return Ok(Ended::Exited(child.wait().await?)),
                },
            }
        }
        end_group(&mut child).await;
        Ok(Ended::Stopped)
    }

    fn command(&self, input: &Path, folder: &Path, input_persistency: bool) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("-i").arg(input).arg("-o").arg(folder).arg("--overwrite-output");
        if !input_persistency {
            command.arg("--no-input-persistency");
        }
        // A converter in a virtual environment starts Python programs of its own by name.
        if let Some(bin) = self.0.parent().filter(|bin| !bin.as_os_str().is_empty()) {
            let path = env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(bin.to_owned()).chain(env::split_paths(&path));
            if let Ok(path) = env::join_paths(folders) {
                command.env("PATH", path);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that the Java machine that it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

enum Ended {
    Exited(ExitStatus),
    Stopped,
}

/// Where the converter's lines go.
struct Output {
    file: File,
    lines: Vec<String>,
    bar: Progress,
    stage: u64,
}

impl Output {
    fn take(&mut self, line: String) -> anyhow::Result<()> {
        writeln!(self.file, "{line}").context("cannot write the converter's log")?;
        let reached = MILESTONES.iter().filter(|(mark, ..)| line.contains(mark));
        if let Some(&(_, stage, says)) = reached.max_by_key(|(_, stage, _)| stage)
            && stage > self.stage
        {
            self.stage = stage;
            self.bar.set(stage);
            self.bar.say(says.to_owned());
            if !is_watched() {
                tell(format_args!("converter: {says}"));
            }
        }
        // Only the end is of use for an explanation.
        if self.lines.len() == KEPT_LINES {
            self.lines.remove(0);
        }
        self.lines.push(line);
        Ok(())
    }
}

/// Hands on what a pipe brings, line by line; bytes that are not UTF-8 are replaced.
fn read_lines(pipe: Option<impl AsyncRead + Unpin + Send + 'static>, lines: mpsc::Sender<String>) {
    let Some(pipe) = pipe else { return };
    tokio::spawn(async move {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.read_until(b'\n', &mut line).await {
                Ok(1..) => {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if lines.send(text).await.is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            }
        }
    });
}

async fn end_group(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in the meantime.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(9)) => "it was killed (signal 9), perhaps because memory ran out".to_owned(),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// What a line says about how far the converter is.
const MILESTONES: [(&str, u64, &str); 7] = [
    ("Converting ", 1, "reading the network"),
    ("Starting SDSPconv", 2, "laying it out in the sensor's memory"),
    ("ConvFe conversion finished", 3, "front end done"),
    ("DspConvParser has started", 4, "preparing the back end"),
    ("DspConvParser finished", 5, "compiling for the sensor; the longest step, about a minute"),
    ("Converter Backend successfully completed", 6, "zipping"),
    ("packer zip successfully generated", STAGES, "packerOut.zip written"),
];
const STAGES: u64 = 7;
const KEPT_LINES: usize = 2000;
const PROGRAM: &str = "imxconv-pt";
const VARIABLE: &str = "QSEGMENT_IMXCONV";
