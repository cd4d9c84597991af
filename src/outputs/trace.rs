//! The last seconds, frame by frame, in the trace format of Chrome and Perfetto: drop the file on
//! ui.perfetto.dev or on chrome://tracing and see which frame waited for what.
//!
//! ```text
//!   sensor   exposure [-]  sensor_to_tensor [------------]        one track a frame, since frames overlap
//!   host                                                 [tensor_to_mask]
//!   screen                                    mask_to_commit [--] commit_to_flip [---]  on_screen [-------]
//!            age on screen, ms: a saw tooth, its peaks are exposure_to_replaced
//! ```
//!
//! Everything lies on the host's clock. What the sensor's clock timed is placed so that the output tensor's last
//! line is at the host when the host received it; only its length was timed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::DISCLAIMER;
use super::figures::{COUNTERS, Facts, definition, milliseconds};
use crate::pipeline::latency::Stage;
use crate::pipeline::trace::{OnScreen, Passed, Trace};
use crate::pipeline::{Counters, Snapshot};
use crate::source::clock::Timestamp;

/// How much of a run a trace holds.
pub const SPAN: Duration = Duration::from_secs(10);

/// The trace as a JSON document of the "JSON Object Format".
#[must_use]
pub fn chrome(trace: &Trace, facts: &Facts, snapshot: &Snapshot) -> Value {
    let mut events = Events::default();
    events.names(SENSOR, "sensor", "frames");
    events.names(HOST, "host", "decode");
    events.names(SCREEN, "screen", "on screen");
    let mut before: Option<Counters> = None;
    for passed in &trace.passed {
        events.passed(passed);
        if let Some(before) = before {
            events.counted(passed, before);
        }
        before = Some(passed.counters);
    }
    for frame in &trace.on_screen {
        events.on_screen(frame);
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": other(trace, facts, snapshot),
        "traceEvents": events.0,
    })
}

/// What a reader of the file has to know, and has nowhere else.
fn other(trace: &Trace, facts: &Facts, snapshot: &Snapshot) -> Map<String, Value> {
    let mut other = Map::new();
    let mut say = |key: &str, value: String| other.insert(key.to_owned(), Value::String(value));
    say("disclaimer", DISCLAIMER.to_owned());
    say("qsegment", facts.version.clone());
    say("network", format!("{}, SHA-256 {}", facts.network.name, facts.network.sha256));
    say("camera", facts.ladder.camera.clone());
    say("inference", facts.ladder.inference.clone());
    say("sensor's times are", snapshot.source.quality.name().to_owned());
    say("clock", "host; the sensor's stages end when the host received the tensor".to_owned());
    let covered = trace.passed.first().zip(trace.passed.last()).map_or(0.0, |(first, last)| {
        milliseconds(last.stamps.mask_ready.since(first.stamps.received)) / 1e3
    });
    say("covers", format!("{} frames in {covered:.3} s", trace.passed.len()));
    for stage in Stage::ALL {
        let is = definition(stage);
        say(is.name, format!("from {} to {}; clock: {}", is.from, is.to, is.clock));
    }
    other
}

const SENSOR: u32 = 1;
const HOST: u32 = 2;
const SCREEN: u32 = 3;
/// One of its own in each.
const THREAD: u32 = 1;

#[derive(Default)]
struct Events(Vec<Value>);

impl Events {
    fn names(&mut self, process: u32, name: &str, thread: &str) {
        self.0.push(json!({
            "ph": "M", "name": "process_name", "pid": process, "args": { "name": name },
        }));
        self.0.push(json!({
            "ph": "M", "name": "thread_name", "pid": process, "tid": THREAD, "args": { "name": thread },
        }));
        self.0.push(json!({
            "ph": "M", "name": "process_sort_index", "pid": process, "args": { "sort_index": process },
        }));
    }

    fn passed(&mut self, passed: &Passed) {
        let Passed { sequence, stamps, .. } = *passed;
        let in_sensor = stamps.tensor_at_host.since(stamps.frame_start);
        let frame_start = before(stamps.received, in_sensor);
        let args = json!({
            "sequence": sequence,
            "frame_count": passed.frame_count,
            "lag_frames": passed.lag_frames,
            "network_run_time_ms": passed.kpi.map(|kpi| f64::from(kpi.dnn_runtime_us) / 1e3),
            "dsp_run_time_ms": passed.kpi.map(|kpi| f64::from(kpi.dsp_runtime_us) / 1e3),
        });
        if let Some(exposure) = passed.exposure {
            let span = (before(frame_start, exposure), frame_start);
            self.overlapping(SENSOR, "exposure", sequence, span, &args);
        }
        let span = (frame_start, stamps.received);
        self.overlapping(SENSOR, "sensor_to_tensor", sequence, span, &args);
        // Where the host runs the network, the next buffer is received meanwhile.
        let span = (stamps.received, stamps.mask_ready);
        self.overlapping(HOST, "tensor_to_mask", sequence, span, &args);
    }

    /// What went wrong since the frame before, at the frame that was published next.
    fn counted(&mut self, passed: &Passed, before: Counters) {
        for counter in COUNTERS.iter().filter(|counter| !GOOD.contains(&counter.name)) {
            let more = (counter.value)(&passed.counters).saturating_sub((counter.value)(&before));
            if more > 0 {
                self.0.push(json!({
                    "ph": "i", "s": "g", "name": format!("{} +{more}", counter.name),
                    "pid": HOST, "tid": THREAD, "ts": microseconds(passed.stamps.received),
                    "args": { "means": counter.help },
                }));
            }
        }
    }

    fn on_screen(&mut self, frame: &OnScreen) {
        let OnScreen { sequence, stamps, half_exposure, shown, until } = *frame;
        let args = json!({ "sequence": sequence });
        let drawn = (stamps.mask_ready, shown.committed);
        self.overlapping(SCREEN, "mask_to_commit", sequence, drawn, &args);
        let waited = (shown.committed, shown.flipped);
        self.overlapping(SCREEN, "commit_to_flip", sequence, waited, &args);
        let Some(until) = until else { return };
        self.0.push(json!({
            "ph": "X", "name": format!("frame {sequence}"), "pid": SCREEN, "tid": THREAD,
            "ts": microseconds(shown.flipped),
            "dur": milliseconds(until.since(shown.flipped)) * 1e3,
            "args": args,
        }));
        let half = half_exposure.unwrap_or_default();
        for at in [shown.flipped, before(until, Duration::from_nanos(1))] {
            self.0.push(json!({
                "ph": "C", "name": "age on screen, ms", "pid": SCREEN, "ts": microseconds(at),
                "args": { "ms": milliseconds(half + stamps.age_at(at)) },
            }));
        }
    }

    /// Spans of one name that may overlap, which the format wants as a pair of events with an id.
    fn overlapping(
        &mut self,
        process: u32,
        name: &str,
        id: u64,
        (begin, end): (Timestamp, Timestamp),
        args: &Value,
    ) {
        for (phase, at) in [("b", begin), ("e", end)] {
            self.0.push(json!({
                "ph": phase, "cat": name, "name": name, "id": id, "pid": process, "tid": THREAD,
                "ts": microseconds(at), "args": args,
            }));
        }
    }
}

/// Counters that rise when all is well.
const GOOD: [&str; 4] = ["buffers", "inputs", "outputs", "paired"];

/// On the axis of the format, which has no zero of its own.
fn microseconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dnn_lines::Kpi;
    use crate::pipeline::Stamps;
    use crate::pipeline::latency::Shown;

    const MS: u64 = 1_000_000;

    fn passed(sequence: u64, received_ms: u64, unpaired: u64) -> Passed {
        Passed {
            sequence,
            frame_count: 7,
            lag_frames: 2,
            stamps: Stamps {
                frame_start: Timestamp(5 * MS),
                tensor_at_host: Timestamp(65 * MS),
                received: Timestamp(received_ms * MS),
                mask_ready: Timestamp((received_ms + 2) * MS),
            },
            exposure: Some(Duration::from_millis(10)),
            kpi: Some(Kpi { dnn_runtime_us: 50_000, dsp_runtime_us: 0 }),
            counters: Counters { unpaired, paired: sequence, ..Counters::default() },
        }
    }

    fn events(passed: &[Passed], on_screen: &[OnScreen]) -> Vec<Value> {
        let mut events = Events::default();
        let mut last: Option<Counters> = None;
        for passed in passed {
            events.passed(passed);
            if let Some(last) = last {
                events.counted(passed, last);
            }
            last = Some(passed.counters);
        }
        on_screen.iter().for_each(|frame| events.on_screen(frame));
        events.0
    }

    /// Name, phase, microseconds.
    fn brief(events: &[Value]) -> Vec<(&str, &str, f64)> {
        events
            .iter()
            .map(|event| {
                let text = |key: &str| event[key].as_str().unwrap();
                (text("name"), text("ph"), event["ts"].as_f64().unwrap())
            })
            .collect()
    }

    #[test]
    fn stages_of_the_sensor_end_where_the_host_received_the_tensor() {
        let written = events(&[passed(3, 1000, 0)], &[]);
        let want = [
            ("exposure", "b", 930_000.0),
            ("exposure", "e", 940_000.0),
            ("sensor_to_tensor", "b", 940_000.0),
            ("sensor_to_tensor", "e", 1_000_000.0),
            ("tensor_to_mask", "b", 1_000_000.0),
            ("tensor_to_mask", "e", 1_002_000.0),
        ];
        assert_eq!(brief(&written), want);
        assert_eq!(written[4]["args"]["network_run_time_ms"], 50.0);
    }

    #[test]
    fn what_went_wrong_stands_at_the_frame_that_came_next() {
        let written = events(&[passed(3, 1000, 1), passed(4, 1100, 3)], &[]);
        let instants: Vec<_> = brief(&written).into_iter().filter(|e| e.1 == "i").collect();
        assert_eq!(instants, [("unpaired +2", "i", 1_100_000.0)]);
    }

    #[test]
    fn age_on_screen_grows_until_the_flip_that_replaces_it() {
        let stamps = passed(3, 1000, 0).stamps;
        let at = |ms: u64| Timestamp(ms * MS);
        let mut frame = OnScreen {
            sequence: 3,
            stamps,
            half_exposure: Some(Duration::from_millis(5)),
            shown: Shown { committed: at(1004), flipped: at(1010) },
            until: Some(at(1040)),
        };
        let ages = |written: &[Value]| -> Vec<f64> {
            let counters = written.iter().filter(|event| event["ph"] == "C");
            counters.map(|event| event["args"]["ms"].as_f64().unwrap().round()).collect()
        };
        let written = events(&[], &[frame]);
        // 5 ms of exposure, 60 ms to the tensor, then 10 and 40 ms on the host.
        assert_eq!(ages(&written), [75.0, 105.0]);
        assert!(brief(&written).contains(&("frame 3", "X", 1_010_000.0)));
        // What is still shown has no end yet.
        frame.until = None;
        assert_eq!(ages(&events(&[], &[frame])), [0.0; 0]);
    }
}
