//! The simulated sensor, seen as a host sees it: only through the bytes and stamps of its buffers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::sync::LazyLock;
use std::time::Duration;

use qsegment::emulator::{Engine, Network};
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::{DnnLines, LINE_LEN_BYTES, network_of};
use qsegment::formats::embedded::{LinePacking, SensorState};
use qsegment::formats::input_tensor::InputLayout;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::source::clock::{Clock, StopSignal, Timestamp};
use qsegment::source::simulated::faults::{FaultPlan, STALL};
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::{Mode, RunTime};
use qsegment::source::simulated::{Options, Simulated, Timing};
use qsegment::source::{FrameSource, Next, RawFrame, SourceError};

/// A network on a small input, so that a run of seconds takes little.
static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
    let onnx = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Network::load(&onnx).unwrap().with_input_size(SIDE, SIDE).unwrap()
});
const SIDE: usize = 32;
const OUTPUT_LEN_BYTES: usize = SIDE * SIDE;

#[test]
fn buffers_parse_as_the_sensor_lays_them_out() {
    let frames = run(options(), 3);
    // 2 x 2535, KPI, 1 + ceil(3072 / 2560), 1 + ceil(1024 / 2560), PQ
    assert!(frames.iter().all(|f| f.metadata.len() == 2 * 2535 + (1 + 3 + 2 + 1) * LINE_LEN_BYTES));
    let registers = SensorState::parse(&frames[2].metadata, 2535).unwrap();
    assert_eq!(registers.frame_length_lines, Some(2637));
    assert_eq!(registers.line_length_pixels, Some(9398));
    assert!(registers.exposure_lines.unwrap() > 0 && registers.analogue_gain().unwrap() > 1.0);
    assert!((38..=46).contains(&registers.temperature_celsius.unwrap()));

    let lines = DnnLines::split(&frames[2].metadata[2 * 2535..]).unwrap();
    let params = ApParams::parse(lines.input.ap_params_bytes().unwrap()).unwrap();
    let network = network_of(&lines.input.header, &params).unwrap();
    assert_eq!(network.inputs[0].quant.signed, NETWORK.input().signed);
    assert_eq!(network.outputs[0].quant.signed, NETWORK.output().signed);
    assert!((45_000..=75_000).contains(&lines.kpi.dnn_runtime_us), "{:?}", lines.kpi);
    assert_eq!(lines.output.unwrap().line, 4);
}

#[test]
fn late_network_sends_all_four_kinds_of_buffer() {
    let seen: Vec<Seen> = run(options(), 60).iter().map(read).collect();
    for flags in [(false, false), (true, false), (false, true), (true, true)] {
        assert!(seen.iter().any(|s| (s.input.is_some(), s.output.is_some()) == flags), "{flags:?}");
    }
    // 60 buffers are 2 s: 13 to 22 outputs a second, less the start.
    let outputs = seen.iter().filter(|s| s.output.is_some()).count();
    assert!((24..=44).contains(&outputs), "{outputs}");
    // A buffer without tensors carries the counter of its own frame, others one at most three behind.
    for (sequence, seen) in (0_u8..).zip(&seen) {
        let lag = sequence.wrapping_sub(seen.frame_count);
        let nothing = seen.input.is_none() && seen.output.is_none();
        assert!(if nothing { lag == 0 } else { lag <= 3 }, "buffer {sequence}: lag {lag}");
    }
}

#[test]
fn output_is_what_the_network_says_about_the_input_sent_with_it_or_last() {
    let mut engine = Engine::new(&NETWORK);
    let mut kept = None;
    let mut pairs = 0;
    for seen in run(options(), 60).iter().map(read) {
        kept = seen.input.map(|input| (seen.frame_count, input)).or(kept);
        let Some(output) = seen.output else { continue };
        let (frame_count, input) = kept.take().expect("an input was sent before");
        assert_eq!(seen.frame_count, frame_count);
        let mut wanted = vec![0; OUTPUT_LEN_BYTES];
        engine.run(&input, &mut wanted);
        assert_eq!(output, wanted, "frame {frame_count}");
        pairs += 1;
    }
    assert!(pairs > 20, "{pairs}");
}

#[test]
fn same_seed_gives_the_same_run_to_the_byte() {
    let with_faults = |seed| {
        let faults = [
            "truncated-buffer:5-40:every=5",
            "corrupt-ap-params:7-40:every=9",
            "counter-jump:20-20",
        ];
        run(Options { seed, faults: plans(&faults), ..options() }, 50)
    };
    let told = |frames: &[RawFrame]| -> Vec<(u64, Vec<u8>, Timestamp, Timestamp)> {
        let facts =
            |f: &RawFrame| (f.sequence, f.metadata.clone(), f.frame_start, f.tensor_at_host);
        frames.iter().map(facts).collect()
    };
    let first = told(&with_faults(7));
    assert_eq!(first, told(&with_faults(7)));
    assert_ne!(first, told(&with_faults(8)));
}

#[test]
fn timing_off_sends_every_frame_with_its_own_tensors_and_waits_for_none() {
    let clock = Clock::simulated(StopSignal::default());
    let options = Options { timing: Timing::Off, ..options() };
    let mut source = Simulated::new(options, &NETWORK, clock.clone()).unwrap();
    let interval = source.info().frame_interval;
    for (sequence, frame_count) in (0_u32..).zip(0_u8..40) {
        let frame = next(&mut source);
        let seen = read(&frame);
        assert!(seen.input.is_some() && seen.output.is_some());
        assert_eq!(seen.frame_count, frame_count);
        assert_eq!(frame.frame_start, Timestamp(0).plus(interval * sequence));
    }
    assert_eq!(clock.now(), Timestamp(0));
}

#[test]
fn scene_moves_but_not_when_told_to_stand_still() {
    use qsegment::source::simulated::scene::Motion;
    let inputs = |motion| -> Vec<Vec<u8>> {
        let options = Options { timing: Timing::Off, motion, ..options() };
        run(options, 30).iter().map(|frame| read(frame).input.unwrap()).collect()
    };
    let still = inputs(Motion::Still);
    assert!(still.iter().all(|input| *input == still[0]));
    let drifting = inputs(Motion::Drift);
    assert_eq!(drifting[0], still[0]);
    assert_ne!(drifting[29], still[0]);
}

#[test]
fn pi_4_pads_embedded_lines_and_nothing_else() {
    let pi_5 = run(options(), 4);
    let pi_4 = run(Options { packing: LinePacking::Pi4, ..options() }, 4);
    for (pi_4, pi_5) in pi_4.iter().zip(&pi_5) {
        assert_eq!((pi_4.embedded_line_len_bytes, pi_5.embedded_line_len_bytes), (2544, 2535));
        assert_eq!(pi_4.metadata[2 * 2544..], pi_5.metadata[2 * 2535..]);
        assert_eq!(
            SensorState::parse(&pi_4.metadata, 2544).unwrap(),
            SensorState::parse(&pi_5.metadata, 2535).unwrap()
        );
    }
}

#[test]
fn full_mode_has_longer_lines_and_ten_frames_a_second() {
    let options = Options { mode: Mode::Full, ..options() };
    let frames = run(options, 2);
    assert_eq!(frames[0].embedded_line_len_bytes, 5070);
    let interval = frames[1].frame_start.since(frames[0].frame_start);
    assert_eq!(interval, Duration::from_nanos(100_013_844));
    let registers = SensorState::parse(&frames[0].metadata, 5070).unwrap();
    assert_eq!(registers.line_length_pixels, Some(17_900));
}

#[test]
fn frame_counter_wraps_at_256() {
    let frames = run(options(), 600);
    let mut newest = 0_u64;
    let mut wraps = 0;
    for frame in &frames {
        let behind = frame.sequence.to_le_bytes()[0].wrapping_sub(read(frame).frame_count);
        let frame_seen = frame.sequence - u64::from(behind);
        assert!(behind <= 3, "buffer {}: {behind} behind", frame.sequence);
        wraps += u32::from(frame_seen / 256 > newest / 256);
        newest = newest.max(frame_seen);
    }
    assert_eq!(wraps, 2);
}

#[test]
fn dropped_tensor_leaves_a_buffer_without_output_region() {
    let (healthy, faulty, injected) = struck_by(&["dropped-tensor:10-30:every=10"], 45);
    assert_eq!(injected, [("dropped-tensor", 3)]);
    let hit = differing(&healthy, &faulty);
    assert_eq!(hit.len(), 3);
    for at in hit {
        assert!(at >= 10 && read(&healthy[at]).output.is_some(), "buffer {at}");
        let lines = DnnLines::split(dnn_area(&faulty[at])).unwrap();
        assert!(lines.output.is_none());
        assert_eq!(faulty[at].metadata.len(), healthy[at].metadata.len());
    }
}

#[test]
fn invalid_flag_leaves_the_region_but_takes_its_validity() {
    let (healthy, faulty, injected) = struck_by(&["invalid-flag:10-30:every=10"], 45);
    assert_eq!(injected, [("invalid-flag", 3)]);
    let hit = differing(&healthy, &faulty);
    assert_eq!(hit.len(), 3);
    for at in hit {
        assert!(read(&healthy[at]).output.is_some());
        let lines = DnnLines::split(dnn_area(&faulty[at])).unwrap();
        assert!(!lines.output.unwrap().header.frame_valid);
    }
}

#[test]
fn counter_jump_moves_all_later_counters_and_nothing_else() {
    let (healthy, faulty, injected) = struck_by(&["counter-jump:10-10"], 40);
    assert_eq!(injected, [("counter-jump", 1)]);
    let jump = read(&faulty[39]).frame_count.wrapping_sub(read(&healthy[39]).frame_count);
    assert!((64..=192).contains(&jump), "{jump}");
    for (healthy, faulty) in healthy.iter().zip(&faulty) {
        let (was, is) = (read(healthy), read(faulty));
        let moved = is.frame_count.wrapping_sub(was.frame_count);
        let frame_seen = u64::from(was.frame_count);
        assert_eq!(moved, if frame_seen >= 10 { jump } else { 0 }, "buffer {}", faulty.sequence);
        assert_eq!((was.input, was.output), (is.input, is.output));
    }
}

#[test]
fn counter_wrap_puts_255_on_the_frame_named() {
    let options =
        Options { timing: Timing::Off, faults: plans(&["counter-wrap:6-6"]), ..options() };
    let counts: Vec<u8> = run(options, 9).iter().map(|frame| read(frame).frame_count).collect();
    assert_eq!(counts, [249, 250, 251, 252, 253, 254, 255, 0, 1]);
}

#[test]
fn truncated_buffer_ends_before_the_output_region() {
    let (healthy, faulty, injected) = struck_by(&["truncated-buffer:10-30:every=10"], 40);
    assert_eq!(injected, [("truncated-buffer", 3)]);
    let hit = differing(&healthy, &faulty);
    assert_eq!(hit, [10, 20, 30]);
    for at in hit {
        let (whole, cut) = (&healthy[at].metadata, &faulty[at].metadata);
        assert!(cut.len() < 2 * 2535 + 4 * LINE_LEN_BYTES);
        assert_eq!(whole[..cut.len()], cut[..]);
    }
}

#[test]
fn corrupt_ap_params_cannot_be_parsed() {
    let (healthy, faulty, injected) = struck_by(&["corrupt-ap-params:10-30:every=10"], 45);
    assert_eq!(injected, [("corrupt-ap-params", 3)]);
    let hit = differing(&healthy, &faulty);
    assert_eq!(hit.len(), 3);
    for at in hit {
        let lines = DnnLines::split(dnn_area(&faulty[at])).unwrap();
        let in_front_of_input = lines.input.ap_params_bytes().unwrap();
        assert!(ApParams::parse(in_front_of_input).is_err());
        assert_eq!(in_front_of_input, lines.output.unwrap().ap_params_bytes().unwrap());
    }
}

#[test]
fn stalled_source_sends_nothing_for_a_while_and_goes_on_where_it_stopped() {
    let (healthy, faulty, injected) = struck_by(&["stalled-source:10-20:every=10"], 30);
    assert_eq!(injected, [("stalled-source", 2)]);
    assert!(differing(&healthy, &faulty).is_empty());
    for (at, stalls) in [(9, 0), (10, 1), (19, 1), (20, 2), (29, 2)] {
        let late = faulty[at].tensor_at_host.since(healthy[at].tensor_at_host);
        assert_eq!(late, STALL * stalls, "buffer {at}");
    }
}

#[test]
fn lost_buffer_is_a_gap_in_the_numbering() {
    let (healthy, faulty, injected) = struck_by(&["lost-buffer:10-20:every=10"], 30);
    assert_eq!(injected, [("lost-buffer", 2)]);
    let numbers: Vec<u64> = faulty.iter().map(|frame| frame.sequence).collect();
    let wanted: Vec<u64> = (0..32).filter(|number| ![10, 20].contains(number)).collect();
    assert_eq!(numbers, wanted);
    // The others are what they would have been, at their own time.
    for frame in faulty.iter().filter(|frame| frame.sequence < 30) {
        let was = &healthy[usize::try_from(frame.sequence).unwrap()];
        assert_eq!((&frame.metadata, frame.frame_start), (&was.metadata, was.frame_start));
    }
}

#[test]
fn run_goes_on_unharmed_when_the_faults_are_over() {
    let every_fault = [
        "dropped-tensor:10-30:every=3",
        "invalid-flag:10-30:every=3",
        "truncated-buffer:10-30:every=3",
        "corrupt-ap-params:10-30:every=3",
        "stalled-source:10-30:every=3",
    ];
    let (healthy, faulty, injected) = struck_by(&every_fault, 60);
    assert_eq!(injected.len(), every_fault.len());
    let hit = differing(&healthy, &faulty);
    assert!(hit.iter().all(|at| (10..40).contains(at)), "{hit:?}");
    // Each count can be seen: no buffer hides one damage behind another.
    let damages = injected.iter().filter(|(name, _)| *name != "stalled-source");
    assert_eq!(hit.len() as u64, damages.map(|(_, times)| times).sum::<u64>());
}

#[test]
fn stop_signal_ends_the_source() {
    let stop = StopSignal::default();
    let mut source = Simulated::new(options(), &NETWORK, Clock::monotonic(stop.clone())).unwrap();
    stop.raise();
    assert_eq!(source.next(&mut RawFrame::default()).unwrap(), Next::Ended);
}

#[test]
fn picture_that_vanishes_ends_the_source_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pgm", "b.pgm", "c.pgm"] {
        std::fs::write(folder.path().join(name), b"P5 1 1 255\n\x80").unwrap();
    }
    let options = Options {
        scene: Scene::Path(folder.path().to_owned()),
        show_each: Duration::from_millis(100),
        ..options()
    };
    let clock = Clock::simulated(StopSignal::default());
    let mut source = Simulated::new(options, &NETWORK, clock).unwrap();
    next(&mut source);
    std::fs::remove_file(folder.path().join("c.pgm")).unwrap();
    let mut frame = RawFrame::default();
    let refused = loop {
        match source.next(&mut frame) {
            Ok(found) => assert_eq!(found, Next::Frame),
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("c.pgm: cannot be opened"), "{refused}");
    assert_eq!(source.next(&mut frame).unwrap(), Next::Ended);
}

#[test]
fn lost_buffers_take_their_time() {
    let clock = Clock::simulated(StopSignal::default());
    let options = Options { faults: plans(&["lost-buffer:0-9:every=1"]), ..options() };
    let mut source = Simulated::new(options, &NETWORK, clock.clone()).unwrap();
    let first = next(&mut source);
    assert_eq!(first.sequence, 10);
    assert_eq!(clock.now(), Timestamp(0).plus(source.info().frame_interval * 11));
}

/// A simulated clock that somebody else moves is a slow CPU.
#[test]
fn slow_cpu_shows_in_slow_motion_and_not_in_the_stamps() {
    let clock = Clock::simulated(StopSignal::default());
    let mut source = Simulated::new(options(), &NETWORK, clock.clone()).unwrap();
    let interval = source.info().frame_interval;
    let first = next(&mut source);
    assert_eq!(first.tensor_at_host, clock.now());
    assert_eq!(source.behind_real_time(), Duration::ZERO);

    let slow = Duration::from_millis(500);
    clock.wait_until(clock.now().plus(interval + slow));
    let late = next(&mut source);
    assert_eq!(source.behind_real_time(), slow);
    assert_eq!(late.frame_start.since(first.frame_start), interval);
    assert_eq!(late.tensor_at_host.since(late.frame_start), interval);

    // From then on the interval is kept again, on both clocks.
    let before = clock.now();
    let after = next(&mut source);
    assert_eq!(after.frame_start.since(late.frame_start), interval);
    assert_eq!(clock.now().since(before), interval);
    assert_eq!(source.behind_real_time(), slow);
}

#[test]
fn refuses_a_scene_and_a_window_it_cannot_show() {
    let refusal = |options| {
        let clock = Clock::simulated(StopSignal::default());
        Simulated::new(options, &NETWORK, clock).unwrap_err()
    };
    let scene = Scene::Path("no/such/eye.png".into());
    assert!(matches!(refusal(Options { scene, ..options() }), SourceError::Scene(_)));
    let inference_window = "0,0,4056,3040".parse().unwrap();
    let too_far = qsegment::source::simulated::isp::InferenceWindow { left: 1, ..inference_window };
    let options = Options { inference_window: too_far, ..options() };
    assert!(matches!(refusal(options), SourceError::Setting(_)));
}

/// What a host reads out of one buffer: valid tensors only, the output row-major.
struct Seen {
    frame_count: u8,
    input: Option<Vec<u8>>,
    output: Option<Vec<u8>>,
}

fn read(frame: &RawFrame) -> Seen {
    let lines = DnnLines::split(dnn_area(frame)).unwrap();
    let header = lines.input.header;
    let params = ApParams::parse(lines.input.ap_params_bytes().unwrap()).unwrap();
    let network = network_of(&header, &params).unwrap();
    let line_len = usize::from(header.max_line_len_bytes);
    let input = header.frame_valid.then(|| {
        let mut planar = Vec::new();
        let layout = InputLayout::new(&network.inputs[0]).unwrap();
        layout.copy_planar(lines.input.body().unwrap(), line_len, &mut planar).unwrap();
        planar
    });
    let output = lines.output.filter(|output| output.header.frame_valid).map(|output| {
        assert_eq!(output.header.frame_count, header.frame_count);
        let mut columns = Vec::new();
        let layout = OutputLayout::all(&network.outputs, line_len).unwrap().remove(0);
        layout.copy_raw(output.body().unwrap(), line_len, &mut columns).unwrap();
        (0..OUTPUT_LEN_BYTES).map(|at| columns[at % SIDE * SIDE + at / SIDE]).collect()
    });
    Seen { frame_count: header.frame_count, input, output }
}

fn dnn_area(frame: &RawFrame) -> &[u8] {
    &frame.metadata[2 * frame.embedded_line_len_bytes..]
}

/// As late as the network is on its real input: 45 to 75 ms.
fn options() -> Options {
    let run_time =
        RunTime { shortest: Duration::from_millis(45), longest: Duration::from_millis(75) };
    Options { scene: Scene::Phantom, timing: Timing::Given(run_time), ..Options::default() }
}

fn run(options: Options, frames: usize) -> Vec<RawFrame> {
    let clock = Clock::simulated(StopSignal::default());
    let mut source = Simulated::new(options, &NETWORK, clock).unwrap();
    (0..frames).map(|_| next(&mut source)).collect()
}

fn next(source: &mut Simulated) -> RawFrame {
    let mut frame = RawFrame::default();
    assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
    frame
}

fn plans(texts: &[&str]) -> Vec<FaultPlan> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The same run without and with faults, and how often they struck.
fn struck_by(
    faults: &[&str],
    frames: usize,
) -> (Vec<RawFrame>, Vec<RawFrame>, Vec<(&'static str, u64)>) {
    let clock = Clock::simulated(StopSignal::default());
    let options_struck = Options { faults: plans(faults), ..options() };
    let mut source = Simulated::new(options_struck, &NETWORK, clock).unwrap();
    let faulty = (0..frames).map(|_| next(&mut source)).collect();
    (run(options(), frames), faulty, source.injected_faults())
}

/// Places of buffers whose bytes differ.
fn differing(healthy: &[RawFrame], faulty: &[RawFrame]) -> Vec<usize> {
    let pairs = healthy.iter().zip(faulty);
    pairs.enumerate().filter(|(_, (h, f))| h.metadata != f.metadata).map(|(at, _)| at).collect()
}
