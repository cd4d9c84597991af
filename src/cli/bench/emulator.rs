//! How long the emulator takes for one inference on this machine, by kernel.

use qsegment::emulator::{Engine, Network, reference};
use qsegment::outputs::system_report::EmulatorTime;
use qsegment::source::clock::Clock;

use crate::cli::progress::Progress;

/// Times the engine at the network's own size and, where that is slow, the reference at a smaller one; the engine
/// at that size, too, so that the two can be compared.
pub(super) fn time(network: &Network, clock: &Clock) -> Vec<EmulatorTime> {
    let progress = Progress::new(Some(3));
    progress.say("timing the emulator on this CPU".to_owned());
    let own = engine(network, None, clock);
    progress.set(1);
    let input = network.input();
    if input.height * input.width <= REFERENCE_SIDE * REFERENCE_SIDE {
        return vec![own, slow(network, None, clock)];
    }
    // A network that does not run at that size has its reference left out: minutes would go by.
    let Ok(small) = network.with_input_size(REFERENCE_SIDE, REFERENCE_SIDE) else {
        return vec![own];
    };
    let engine = engine(&small, Some("at the reference's size, to compare with it"), clock);
    progress.set(2);
    let reference = slow(&small, Some("at a reduced size, since it is slow"), clock);
    vec![own, engine, reference]
}

fn engine(network: &Network, reduced: Option<&'static str>, clock: &Clock) -> EmulatorTime {
    let mut engine = Engine::new(network);
    let input = picture(network.input().len_bytes());
    let mut output = vec![0; network.output().len_bytes()];
    // Buffers and caches are warm from the second on.
    engine.run(&input, &mut output);
    timed("engine", network, reduced, ENGINE_ROUNDS, clock, || engine.run(&input, &mut output))
}

fn slow(network: &Network, reduced: Option<&'static str>, clock: &Clock) -> EmulatorTime {
    let input = picture(network.input().len_bytes());
    timed("reference", network, reduced, REFERENCE_ROUNDS, clock, || {
        std::hint::black_box(reference::run(network.graph(), &input));
    })
}

fn timed(
    kernel: &'static str,
    network: &Network,
    reduced: Option<&'static str>,
    rounds: usize,
    clock: &Clock,
    mut run: impl FnMut(),
) -> EmulatorTime {
    let times = (0..rounds)
        .map(|_| {
            let began = clock.now();
            run();
            clock.now().since(began)
        })
        .collect();
    let input = network.input();
    EmulatorTime {
        kernel,
        threads: 1,
        width: input.width,
        height: input.height,
        macs: network.macs(),
        times,
        reduced,
    }
}

/// Bytes of every value in no order; the time does not depend on them.
pub(super) fn picture(len_bytes: usize) -> Vec<u8> {
    (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).take(len_bytes).collect()
}

/// The reference takes about 0.2 s an inference at this size, and 16 times as long at 320.
const REFERENCE_SIDE: usize = 80;
const ENGINE_ROUNDS: usize = 30;
const REFERENCE_ROUNDS: usize = 3;
