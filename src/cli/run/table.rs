//! The final report as a person reads it.

use std::fmt;

use qsegment::outputs::DISCLAIMER;
use qsegment::outputs::figures::power::UncertainFigure;
use qsegment::outputs::figures::{StageDefinition, StageFigures};
use qsegment::outputs::record::RecordingFigures;
use qsegment::outputs::report::Report;
use qsegment::pipeline::Snapshot;
use qsegment::source::Quality;

/// Prints a finished run: counts, stages, faults.
pub(crate) struct Table<'a> {
    pub(crate) report: &'a Report,
    pub(crate) snapshot: &'a Snapshot,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.snapshot.counters;
        writeln!(f, "frames  {:>10}   {}", counters.buffers, self.pace())?;
        let rate = self.report.rates.tensors.value.map(|rate| format!("{rate:.1} a second"));
        writeln!(f, "tensors {:>10}   {}", counters.outputs, rate.unwrap_or_default())?;
        writeln!(f, "paired  {:>10}   each with the very picture it came from", counters.paired)?;
        writeln!(f, "unpaired{:>10}", counters.unpaired)?;
        writeln!(f, "stale   {:>10}", counters.stale)?;
        if let Some(reason) = &self.report.source.inference_reason {
            writeln!(f, "inference on the host: {reason}")?;
        }
        if let Some(screen) = &self.report.timing.screen {
            writeln!(f, "screen  {screen}")?;
        }
        self.faults(f)?;
        self.recording(f)?;
        writeln!(f)?;
        self.stages(f)?;
        self.power(f)?;
        self.definitions(f)?;
        write!(f, "\n{DISCLAIMER}")
    }
}

impl Table<'_> {
    fn pace(&self) -> String {
        let timing = &self.report.timing;
        let rate = self.report.rates.frames.value;
        let rate = rate.map_or(String::new(), |rate| format!("{rate:.1} a second, "));
        let camera = self.snapshot.source.quality != Quality::Simulated;
        let pace = match timing.slow_motion_factor.value {
            _ if camera => String::new(),
            Some(factor) if factor > 1.05 => format!(", {factor:.1} times slower than a sensor"),
            Some(factor) if factor < 0.95 => {
                format!(", {:.1} times faster than a sensor", 1.0 / factor)
            }
            _ => String::new(),
        };
        let simulated = if camera { "" } else { "simulated " };
        format!("{rate}{simulated}in {:.1} s{pace}", timing.elapsed_s)
    }

    /// Nothing, when nothing went wrong.
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, times) in &self.report.injected_faults {
            writeln!(f, "injected{times:>10}   {name}")?;
        }
        for (name, times) in &self.report.device_events {
            writeln!(f, "camera  {times:>10}   {name}")?;
        }
        for (remedy, times) in &self.report.recovery.steps {
            if *times > 0 {
                writeln!(f, "tried   {times:>10}   {remedy}")?;
            }
        }
        if self.report.recovery.recovered > 0 {
            writeln!(f, "counted {:>10}   recovered", self.report.recovery.recovered)?;
        }
        for (name, times) in &self.report.counters {
            if *times > 0 && !SHOWN_ABOVE.contains(name) {
                writeln!(f, "counted {times:>10}   {name}")?;
            }
        }
        Ok(())
    }

    fn recording(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(recording) = &self.report.timing.recording else { return Ok(()) };
        let RecordingFigures { path, frames, bytes, files, .. } = recording;
        let megabytes = *bytes as f64 / 1e6;
        let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        writeln!(f, "recorded{frames:>10}   {megabytes:.1} MB in {files}: {path}")?;
        for (reason, times) in &recording.dropped {
            if *times > 0 {
                writeln!(f, "left out{times:>10}   not recorded: {reason}")?;
            }
        }
        Ok(())
    }

    /// Stages that some frame has passed.
    fn timed(&self) -> impl Iterator<Item = StageFigures> {
        self.snapshot.stages.iter().filter(|stage| stage.count > 0).map(StageFigures::from)
    }

    /// What the figures above are, so that nobody has to ask.
    fn definitions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nwhat they are")?;
        for stage in self.timed() {
            let StageDefinition { name, from, to, clock } = stage.definition;
            defined(f, name, &format!("from {from} to {to}; clock: {clock}"))?;
        }
        let Some(power) = self.report.timing.power.first() else { return Ok(()) };
        for (name, of) in [
            ("mean mW", &power.mean_power),
            ("above idle mW", &power.power_above_idle),
            ("mJ a frame", &power.energy_per_frame),
        ] {
            defined(f, name, of.figure.definition)?;
        }
        for of in &self.report.timing.power {
            let name = format!("{}, {}", of.scope.name(), of.source.name());
            defined(f, &name, &format!("{}: {}", of.instrument, of.definition))?;
        }
        Ok(())
    }

    fn stages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>9}{:>9}{:>9}{:>9}", "stage, ms", "p50", "p95", "p99", "max")?;
        for stage in self.timed() {
            let name = stage.definition.name;
            write!(f, "{name:<24}{:>9.1}{:>9.1}", stage.p50_ms, stage.p95_ms)?;
            write!(f, "{:>9.1}{:>9.1}", stage.p99_ms, stage.max_ms)?;
            writeln!(f, "   {}", stage.quality.name())?;
        }
        Ok(())
    }

    /// Nothing without an instrument.
    fn power(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = &self.report.timing.power;
        if power.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<17}{:>19}{:>19}{:>19}",
            "power", "mean mW", "above idle mW", "mJ a frame"
        )?;
        for of in power {
            let scope = format!("{}, {}", of.scope.name(), of.source.name());
            let [mean, above, frame] =
                [&of.mean_power, &of.power_above_idle, &of.energy_per_frame].map(milli);
            write!(f, "{scope:<17}{mean:>19}{above:>19}{frame:>19}   {}", of.quality.name())?;
            if of.gaps > 0 {
                let seconds = of.uncovered.value.unwrap_or_default();
                write!(f, ", {} gaps of {seconds:.1} s together", of.gaps)?;
            }
            let failed: u64 = of.failures.values().sum();
            if failed > 0 {
                write!(f, ", {failed} readings failed")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A name, and beside it what it means, in lines that fit any terminal.
fn defined(f: &mut fmt::Formatter<'_>, name: &str, meaning: &str) -> fmt::Result {
    let mut line = format!("  {name:<NAMES$}");
    for word in meaning.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(f, "{line}")?;
            line = " ".repeat(NAMES + 2);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(f, "{line}")
}

const NAMES: usize = 23;
const WIDTH: usize = 100;

/// In thousandths of its unit, with what it may be off by.
fn milli(figure: &UncertainFigure) -> String {
    let milli = |value: f64| match value * 1e3 {
        milli if milli.abs() < 99.95 => format!("{milli:.2}"),
        milli => format!("{milli:.0}"),
    };
    match (figure.figure.value, figure.uncertainty) {
        (None, _) => "-".to_owned(),
        (Some(value), None) => milli(value),
        (Some(value), Some(uncertainty)) => format!("{} ± {}", milli(value), milli(uncertainty)),
    }
}

/// Counters that have a line of their own, or (inputs) are the other half of one.
const SHOWN_ABOVE: [&str; 6] = ["buffers", "inputs", "outputs", "paired", "unpaired", "stale"];
