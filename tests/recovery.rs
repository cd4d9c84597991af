//! The recovery ladder against a device that fails in every order, on a simulated clock.
//!
//! The device is a model of the camera as the ladder sees it: what it sends, what it answers to each remedy, and how
//! many starts it stands. Every sequence of up to four faults out of seven is played: 2800 of them.

use std::time::Duration;

use qsegment::pipeline::recovery::{Bounds, Ladder, Order, Recoveries, Saw};
use qsegment::source::clock::Timestamp;
use qsegment::source::recovery::{Remedy, Trouble};

/// What can happen to the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Tensors are late by two seconds, and come.
    Late,
    /// Tensors stay away until the network is set again.
    NetworkLost,
    /// Nothing comes until the stream is restarted.
    Silent,
    /// Nothing comes, and a restart alone does not help.
    Stuck,
    /// Not there for two attempts to open it.
    Gone,
    /// Does not answer any more at all.
    Dead,
    /// The camera has been started as often as it may be.
    WornOut,
}

const FAULTS: [Fault; 7] = [
    Fault::Late,
    Fault::NetworkLost,
    Fault::Silent,
    Fault::Stuck,
    Fault::Gone,
    Fault::Dead,
    Fault::WornOut,
];

impl Fault {
    /// Steps in a row that it takes at best; none where nothing helps.
    fn steps(self) -> Option<u32> {
        match self {
            Self::Late => Some(0),
            Self::NetworkLost | Self::Silent => Some(1),
            Self::Stuck => Some(2),
            Self::Gone => Some(3),
            Self::Dead | Self::WornOut => None,
        }
    }
}

/// The camera, and the time that passes with it.
struct Device {
    now_ms: u64,
    broken: Option<Fault>,
    tensors_from_ms: u64,
    hidden_for: u32,
}

impl Device {
    fn new() -> Self {
        Self { now_ms: 0, broken: None, tensors_from_ms: 0, hidden_for: 0 }
    }

    fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::Late => self.tensors_from_ms = self.now_ms + 2000,
            fault => self.broken = Some(fault),
        }
        self.hidden_for = 2;
    }

    /// What the next frame interval, or the next time-out, brings.
    fn next(&mut self) -> Saw {
        match self.broken {
            None | Some(Fault::NetworkLost | Fault::Late) => {
                self.now_ms += 33;
                let tensor = self.broken.is_none() && self.now_ms >= self.tensors_from_ms;
                Saw::Buffer { at: Timestamp(self.now_ms * 1_000_000), tensor }
            }
            Some(Fault::Silent | Fault::Stuck) => {
                self.now_ms += 5000;
                Saw::Trouble(Trouble::Stalled)
            }
            Some(Fault::Gone | Fault::Dead) => Saw::Trouble(Trouble::Device),
            Some(Fault::WornOut) => Saw::Trouble(Trouble::WornOut),
        }
    }

    fn apply(&mut self, remedy: Remedy, after: Duration) -> Saw {
        self.now_ms += milliseconds(after) + 500;
        let Some(broken) = self.broken else { return Saw::Applied };
        match broken {
            Fault::Gone | Fault::Dead if remedy == Remedy::Reopen => {
                self.hidden_for = self.hidden_for.saturating_sub(1);
                if broken == Fault::Dead || self.hidden_for > 0 {
                    return Saw::Trouble(Trouble::Device);
                }
                // It is found, and the next reopening is the one that works.
                self.broken = Some(Fault::Silent);
                return Saw::Trouble(Trouble::Device);
            }
            Fault::Gone | Fault::Dead => return Saw::Trouble(Trouble::Device),
            Fault::WornOut => return Saw::Trouble(Trouble::WornOut),
            Fault::Silent => self.broken = None,
            Fault::Stuck | Fault::NetworkLost if remedy >= Remedy::SetNetwork => self.broken = None,
            Fault::Stuck | Fault::NetworkLost | Fault::Late => {}
        }
        Saw::Applied
    }
}

/// How a sequence ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    gave_up: bool,
    counts: Recoveries,
    /// Most steps that were taken in a row.
    most_in_a_row: u32,
    seconds: u64,
}

/// Plays the faults one after the other, each after `apart` of good frames.
fn play(faults: &[Fault], bounds: Bounds, apart: Duration) -> Ended {
    let mut device = Device::new();
    let mut ladder = Ladder::new(bounds, true);
    let mut most_in_a_row = 0;
    let mut gave_up = false;
    let mut left = faults.iter();
    'run: loop {
        let good_until = device.now_ms + milliseconds(apart);
        let mut good = false;
        // More frames than any recovery takes: a ladder that neither recovers nor gives up is caught by this.
        for _ in 0..20_000 {
            let mut order = ladder.push(device.next());
            while let Order::Try { remedy, after, step } = order {
                most_in_a_row = most_in_a_row.max(step);
                assert!(after <= bounds.longest_back_off, "{faults:?}: {after:?}");
                order = ladder.push(device.apply(remedy, after));
            }
            if order == Order::GiveUp {
                gave_up = true;
                break 'run;
            }
            let well = device.broken.is_none() && !ladder.is_recovering();
            good = well && device.now_ms >= device.tensors_from_ms.max(good_until);
            if good {
                break;
            }
        }
        assert!(good, "{faults:?}: neither well nor given up at {} ms", device.now_ms);
        match left.next() {
            Some(&fault) => device.fail(fault),
            None => break,
        }
    }
    Ended { gave_up, counts: ladder.counts(), most_in_a_row, seconds: device.now_ms / 1000 }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a few seconds")
}

fn sequences(longest: usize) -> Vec<Vec<Fault>> {
    let mut all = vec![vec![]];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|start| FAULTS.map(|fault| [start.as_slice(), &[fault]].concat()))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn every_sequence_of_four_faults_far_apart_is_recovered_or_given_up_for_good_reason() {
    let all = sequences(4);
    assert_eq!(all.len(), 1 + 7 + 49 + 343 + 2401);
    for faults in all {
        let ended = play(&faults, Bounds::default(), Duration::from_secs(90));
        // Up to the first that nothing helps against, each takes its own steps and no more.
        let before: Vec<u32> = faults.iter().map_while(|fault| fault.steps()).collect();
        let curable = before.len() == faults.len();
        assert_eq!(ended.gave_up, !curable, "{faults:?}: {ended:?}");
        let well_again = before.iter().filter(|steps| **steps > 0).count() as u64;
        assert_eq!(ended.counts.recovered, well_again, "{faults:?}: {ended:?}");
        let last = faults.get(before.len());
        let in_vain = if last == Some(&Fault::Dead) { Bounds::default().steps } else { 0 };
        let steps = before.iter().sum::<u32>() + in_vain;
        assert_eq!(
            ended.counts.steps.iter().sum::<u64>(),
            u64::from(steps),
            "{faults:?}: {ended:?}"
        );
        assert!(ended.seconds < 90 * 5 + 4 * 60, "{faults:?}: {ended:?}");
    }
}

#[test]
fn faults_in_quick_succession_never_take_more_steps_in_a_row_than_allowed() {
    for steps in 0..=4 {
        let bounds = Bounds { steps, ..Bounds::default() };
        for faults in sequences(4) {
            let ended = play(&faults, bounds, Duration::from_secs(1));
            assert!(ended.most_in_a_row <= steps, "{faults:?}: {ended:?}");
            // Nothing has settled in between: all steps are of one row.
            assert!(
                ended.counts.steps.iter().sum::<u64>() <= u64::from(steps),
                "{faults:?}: {ended:?}"
            );
            let needed: Option<u32> = faults.iter().map(|fault| fault.steps()).sum();
            assert_eq!(
                ended.gave_up,
                needed.is_none_or(|needed| needed > steps),
                "{faults:?}: {ended:?}"
            );
        }
    }
}

#[test]
fn the_same_faults_are_answered_by_the_same_steps() {
    for faults in sequences(2) {
        let runs = [(); 2].map(|()| play(&faults, Bounds::default(), Duration::from_secs(7)));
        assert_eq!(runs[0], runs[1], "{faults:?}");
    }
}
