//! When the simulated sensor does what: read-out of the modes, run time of the network, and which
//! inference travels in which buffer.
//!
//! ```text
//!   frame k       |<------------- interval ------------->|  frame k + 1
//!                 |  read-out (mode's lines)  | blanking  |
//!                 |                           |   |<send->|     DNN lines, one per line time
//!                 t_k                         c_k L_k     t_k+1
//!                                             |   |       +-- buffer k is at the host
//!                                             |   +-- latch: what has finished by now travels in buffer k
//!                                             +-- frame k is complete: the DNN may start on it
//! ```
//!
//! The DNN is double-buffered: while it works on one frame the newest complete one waits beside it, so it
//! is never idle while there is a frame it has not seen.
//!
//! ```text
//!                 a newer frame is complete                     run time over
//!        +------+ ------------------------> +---------------+ ----------------> finished, in order
//!        | idle |                           | runs on frame |                      |
//!        +------+ <------------------------ +---------------+                      | one at each latch
//!                  no newer frame complete     | a newer frame is complete         v
//!                                              +--> runs on that one at once    buffer
//!
//!   at the latch of buffer k            carries                    input flag   output flag
//!   oldest finished, input unsent       input and output of it         1             1
//!   oldest finished, input sent         output of it                   0             1
//!   none finished, running, unsent      input of the running one       1             0
//!   else                                nothing, counter of frame k    0             0
//! ```
//!
//! So an output without input always belongs to the input sent last, which is what libcamera's lock-step
//! rule assumes (imx500_tensor_parser). This is a model: no sensor was at hand to confirm the moments of latch
//! and start. What it rests on: rates and line lengths of the kernel driver's mode tables, and two
//! published run times.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::formats::embedded::PIXELS_PER_SECOND;

/// The driver's two modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// 2028 x 1520, 2 x 2 binned: 30 frames a second.
    #[default]
    Binned,
    /// 4056 x 3040: 10 frames a second.
    Full,
}

impl Mode {
    /// Pixels a line.
    #[must_use]
    pub fn width(self) -> u16 {
        match self {
            Self::Binned => 2028,
            Self::Full => 4056,
        }
    }

    /// Lines of the picture.
    #[must_use]
    pub fn height(self) -> u16 {
        match self {
            Self::Binned => 1520,
            Self::Full => 3040,
        }
    }

    /// Pixel clocks a line takes, blanking included (register 0x0342).
    #[must_use]
    pub fn line_length_pixels(self) -> u16 {
        match self {
            Self::Binned => 9398,
            Self::Full => 17_900,
        }
    }

    /// Lines a frame takes, blanking included (register 0x0340), at the mode's highest rate. The DNN lines
    /// are sent in the blanking, which grows when they need more of it.
    #[must_use]
    pub fn frame_length_lines(self, dnn_lines: u16) -> u16 {
        self.height().saturating_add(dnn_lines.max(VBLANK_MIN_LINES))
    }

    /// Moments of a frame with this many DNN lines.
    #[must_use]
    pub fn frame_timing(self, dnn_lines: u16) -> FrameTiming {
        let lines = |count: u16| {
            let pixels = u64::from(count) * u64::from(self.line_length_pixels());
            Duration::from_nanos(pixels * 1_000_000_000 / PIXELS_PER_SECOND)
        };
        let interval = lines(self.frame_length_lines(dnn_lines));
        FrameTiming { interval, complete: lines(self.height()), latch: interval - lines(dnn_lines) }
    }
}

/// Moments of a frame, counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTiming {
    /// When the next frame starts, and this one's last DNN line is at the host.
    pub interval: Duration,
    /// When its last line has been read out and the DNN may start on it.
    pub complete: Duration,
    /// When the sensor decides which inference travels in its buffer.
    pub latch: Duration,
}

impl FrameTiming {
    /// When a frame starts, counted from the start of frame 0.
    #[must_use]
    pub fn start_of(self, frame: u64) -> Duration {
        let nanos = u128::from(frame) * self.interval.as_nanos();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A run time measured on an IMX500 that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedRun {
    /// The network.
    pub network: &'static str,
    /// Where it is published.
    pub source: &'static str,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// One inference.
    pub run_time: Duration,
}

/// The faster rate: 23.5 G multiply-accumulates a second.
pub const PICOSAM2: PublishedRun = PublishedRun {
    network: "PicoSAM2",
    source: "arXiv 2506.18807",
    macs: 336_000_000,
    run_time: Duration::from_micros(14_300),
};

/// The slower rate: 13.7 G multiply-accumulates a second.
pub const TINY_TRACKER: PublishedRun = PublishedRun {
    network: "TinyTracker",
    source: "arXiv 2307.07813",
    macs: 11_800_000,
    run_time: Duration::from_micros(860),
};

impl PublishedRun {
    /// How long another network would run that uses the sensor as well as this one.
    #[must_use]
    pub fn at_its_rate(self, macs: u64) -> Duration {
        let nanos = u128::from(macs) * self.run_time.as_nanos() / u128::from(self.macs);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Multiply-accumulates a second.
    #[must_use]
    pub fn macs_per_second(self) -> f64 {
        self.macs as f64 / self.run_time.as_secs_f64()
    }
}

/// How long the network runs; drawn anew for each inference, evenly between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunTime {
    /// Shortest.
    pub shortest: Duration,
    /// Longest.
    pub longest: Duration,
}

impl RunTime {
    /// From the network's multiply-accumulates, by the two run times measured on an IMX500 that are
    /// published. The larger network uses the sensor better, so its rate is the upper one.
    #[must_use]
    pub fn estimate(macs: u64) -> Self {
        Self { shortest: PICOSAM2.at_its_rate(macs), longest: TINY_TRACKER.at_its_rate(macs) }
    }

    fn draw(self, rng: &mut ChaCha8Rng) -> Duration {
        rng.random_range(self.shortest..=self.longest.max(self.shortest))
    }
}

/// One inference: which frame it sees and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inference {
    /// Number of the frame it sees.
    pub frame: u64,
    /// How long it runs.
    pub run_time: Duration,
    /// When it ends; schedule time.
    ends: Duration,
    input_sent: bool,
}

/// What a buffer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Nothing new.
    Nothing,
    /// The input of the inference that runs.
    Input(Inference),
    /// The output of one whose input was sent before.
    Output(Inference),
    /// Input and output of the same inference.
    Both(Inference),
}

/// The double-buffered DNN: steps from buffer to buffer. Times count from the start of frame 0.
#[derive(Debug)]
pub struct Dnn {
    timing: FrameTiming,
    run_time: RunTime,
    rng: ChaCha8Rng,
    next_buffer: u64,
    /// First frame it has not seen, skipped ones excluded.
    next_frame: u64,
    running: Option<Inference>,
    /// Never more than two wait after a latch: two can end between two latches only when the second is of
    /// the frame just completed, and then the next can end no sooner than the next latch.
    finished: VecDeque<Inference>,
}

impl Dnn {
    /// Idle, before frame 0.
    #[must_use]
    pub fn new(timing: FrameTiming, run_time: RunTime, rng: ChaCha8Rng) -> Self {
        Self {
            timing,
            run_time,
            rng,
            next_buffer: 0,
            next_frame: 0,
            running: None,
            finished: VecDeque::with_capacity(4),
        }
    }

    /// Goes on to the latch of the next buffer. Calls `start` for each inference that starts on the way
    /// (at most two), then says what the buffer carries.
    pub fn step(&mut self, mut start: impl FnMut(Inference)) -> Carries {
        let buffer = self.next_buffer;
        self.next_buffer += 1;
        let latch = self.timing.start_of(buffer) + self.timing.latch;
        let mut free_since = Duration::ZERO;
        loop {
            if let Some(running) = self.running {
                if running.ends > latch {
                    break;
                }
                free_since = running.ends;
                self.finished.push_back(running);
                self.running = None;
            }
            // The newest frame complete at that moment, or else the next one to be complete.
            let mut frame = buffer;
            while frame > self.next_frame && self.complete(frame) > free_since {
                frame -= 1;
            }
            let starts = self.complete(frame).max(free_since);
            if frame < self.next_frame || starts > latch {
                break;
            }
            let run_time = self.run_time.draw(&mut self.rng);
            let inference =
                Inference { frame, run_time, ends: starts + run_time, input_sent: false };
            self.next_frame = frame + 1;
            self.running = Some(inference);
            start(inference);
        }
        self.latch()
    }

    fn latch(&mut self) -> Carries {
        match (self.finished.pop_front(), &mut self.running) {
            (Some(finished), _) if finished.input_sent => Carries::Output(finished),
            (Some(finished), _) => Carries::Both(finished),
            (None, Some(running)) if !running.input_sent => {
                running.input_sent = true;
                Carries::Input(*running)
            }
            (None, _) => Carries::Nothing,
        }
    }

    fn complete(&self, frame: u64) -> Duration {
        self.timing.start_of(frame).saturating_add(self.timing.complete)
    }
}

/// The driver's smallest VBLANK.
const VBLANK_MIN_LINES: u16 = 1117;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A sensor whose numbers can be followed by hand: frame k starts at 33 k, is complete at 33 k + 20,
    /// and is latched at 33 k + 31.
    fn dnn(shortest: u64, longest: u64) -> Dnn {
        let timing = FrameTiming { interval: ms(33), complete: ms(20), latch: ms(31) };
        let run_time = RunTime { shortest: ms(shortest), longest: ms(longest) };
        Dnn::new(timing, run_time, ChaCha8Rng::seed_from_u64(1))
    }

    /// As "B1+2": buffer carries both of frame 1, which is 2 frames late.
    fn told(dnn: &mut Dnn, buffers: u64) -> Vec<String> {
        (0..buffers)
            .map(|buffer| match dnn.step(|_| {}) {
                Carries::Nothing => "-".to_owned(),
                Carries::Input(i) => format!("I{}", i.frame),
                Carries::Output(i) => format!("O{}+{}", i.frame, buffer - i.frame),
                Carries::Both(i) => format!("B{}+{}", i.frame, buffer - i.frame),
            })
            .collect()
    }

    #[test]
    fn network_of_45_ms_by_hand() {
        // runs on   0      1       2       4       5       6       8
        // from-to   20-65  65-110  110-155 155-200 200-245 245-290 290-335
        // latches   31 64 97 130 163 196 229 262 295 328
        let wanted = ["I0", "-", "O0+2", "B1+2", "B2+2", "I4", "O4+2", "B5+2", "B6+2", "I8"];
        assert_eq!(told(&mut dnn(45, 45), 10), wanted);
    }

    #[test]
    fn network_of_75_ms_by_hand() {
        // runs on   0      2       4        6
        // from-to   20-95  95-170  170-245  245-320
        // latches   31 64 97 130 163 196 229 262 295 328
        let wanted = ["I0", "-", "O0+2", "I2", "-", "O2+3", "I4", "O4+3", "I6", "O6+3"];
        assert_eq!(told(&mut dnn(75, 75), 10), wanted);
    }

    #[test]
    fn network_of_10_ms_is_never_late() {
        // Frame k: 33 k + 20 to 33 k + 30, one before the latch.
        assert_eq!(told(&mut dnn(10, 10), 4), ["B0+0", "B1+0", "B2+0", "B3+0"]);
        assert_eq!(told(&mut dnn(0, 0), 4), ["B0+0", "B1+0", "B2+0", "B3+0"]);
    }

    #[test]
    fn network_of_12_ms_misses_its_own_buffer() {
        // Frame k: 33 k + 20 to 33 k + 32, one after the latch of its own buffer.
        assert_eq!(told(&mut dnn(12, 12), 4), ["I0", "O0+1", "B1+1", "B2+1"]);
    }

    #[test]
    fn rate_is_one_over_the_run_time() {
        for run_time in [45, 60, 75] {
            let mut dnn = dnn(run_time, run_time);
            let told = told(&mut dnn, 3000);
            let outputs = told.iter().filter(|t| t.starts_with(['O', 'B'])).count() as u64;
            let wanted = 3000 * 33 / run_time;
            assert!(outputs.abs_diff(wanted) <= 2, "{run_time} ms: {outputs}, not {wanted}");
        }
    }

    /// Whatever the run times: each output leaves once, right after its input or with it.
    #[test]
    fn output_always_follows_its_own_input_and_none_is_lost() {
        for (shortest, longest) in
            [(0, 0), (0, 200), (5, 40), (25, 43), (30, 36), (45, 75), (90, 500)]
        {
            let mut dnn = dnn(shortest, longest);
            let (mut started, mut sent) = (Vec::new(), Vec::new());
            let mut input = None;
            for buffer in 0..5000 {
                let before = started.len();
                let carries = dnn.step(|inference| started.push(inference.frame));
                assert!(started.len() - before <= 2);
                assert!(dnn.finished.len() <= 2, "{shortest}-{longest}, buffer {buffer}");
                match carries {
                    Carries::Nothing => {}
                    Carries::Input(i) => {
                        assert_eq!(
                            input.replace(i.frame),
                            None,
                            "an input replaced an unanswered one"
                        );
                    }
                    Carries::Output(i) => {
                        assert_eq!(input.take(), Some(i.frame));
                        sent.push(i.frame);
                    }
                    Carries::Both(i) => {
                        assert_eq!(input, None);
                        sent.push(i.frame);
                    }
                }
            }
            assert!(started.is_sorted_by(|a, b| a < b));
            assert_eq!(sent, started[..sent.len()]);
            assert!(started.len() - sent.len() <= 3);
        }
    }

    #[test]
    fn all_four_buffers_appear_at_45_to_75_ms() {
        let told = told(&mut dnn(45, 75), 300);
        for kind in ["-", "I", "O", "B"] {
            assert!(told.iter().any(|t| t.starts_with(kind)), "{kind}");
        }
    }

    #[test]
    fn modes_run_at_the_rates_of_the_driver() {
        let binned = Mode::Binned.frame_timing(0);
        // (1520 + 1117) * 9398 / 744e6 s; 1520 * 9398 / 744e6 s
        assert_eq!(binned.interval, Duration::from_nanos(33_309_846));
        assert_eq!(binned.complete, Duration::from_nanos(19_200_215));
        let full = Mode::Full.frame_timing(0);
        // (3040 + 1117) * 17900 / 744e6 s
        assert_eq!(full.interval, Duration::from_nanos(100_013_844));
    }

    #[test]
    fn dnn_lines_are_sent_in_the_blanking_and_stretch_it_when_they_are_many() {
        let timing = Mode::Binned.frame_timing(164);
        // 164 * 9398 / 744e6 s = 2.0716 ms before the end of the frame
        assert_eq!(timing.interval - timing.latch, Duration::from_nanos(2_071_602));
        assert_eq!(Mode::Binned.frame_length_lines(164), 2637);
        assert_eq!(Mode::Binned.frame_length_lines(1500), 3020);
        let stretched = Mode::Binned.frame_timing(1500);
        assert!(stretched.latch >= stretched.complete);
    }

    #[test]
    fn run_time_reproduces_the_two_published_measurements() {
        assert_eq!(RunTime::estimate(336_000_000).shortest, Duration::from_micros(14_300));
        assert_eq!(RunTime::estimate(11_800_000).longest, Duration::from_micros(860));
        assert_eq!(RunTime::estimate(0), RunTime::default());
    }
}
