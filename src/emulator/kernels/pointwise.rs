//! Operators that look at one pixel of each input.

use wide::i16x8;

use super::Layout;
use super::requantise::{Steps, exactly, interleave, separate, widen_i16};
use crate::emulator::graph::{Activation, TensorSpec};
use crate::emulator::reference;

/// Sum of two maps.
#[derive(Debug)]
pub(in crate::emulator) struct Add {
    scales: [f32; 2],
    steps: Steps,
    /// For an activation that is not a clip.
    exact: Option<(Activation, TensorSpec)>,
}

impl Add {
    pub(in crate::emulator) fn new(
        activation: Activation,
        inputs: [&TensorSpec; 2],
        output: &TensorSpec,
    ) -> Self {
        Self {
            scales: inputs.map(|input| input.scale),
            steps: Steps::new(activation, output),
            exact: (activation == Activation::Sigmoid).then(|| (activation, output.clone())),
        }
    }

    pub(in crate::emulator) fn run(
        &self,
        inputs: [(&Layout, &[i16]); 2],
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        for y in 0..to.height {
            let [a, b] = inputs.map(|(from, map)| from.row(map, y).as_chunks::<8>().0);
            let row = to.row_mut(made, y).as_chunks_mut::<8>().0;
            for ((sum, &a), &b) in row.iter_mut().zip(a).zip(b) {
                *sum = self.eight(i16x8::new(a), i16x8::new(b)).to_array();
            }
        }
    }

    fn eight(&self, a: i16x8, b: i16x8) -> i16x8 {
        let (a, b) = (separate(a), separate(b));
        // Exact: the loader has checked that the scales are near enough to each other.
        let real = [0, 1]
            .map(|i| a[i].round_float() * self.scales[0] + b[i].round_float() * self.scales[1]);
        match &self.exact {
            None => interleave(self.steps.of(real[0]), self.steps.of(real[1])),
            Some((activation, output)) => exactly(real, *activation, output, 8),
        }
    }
}

/// What each stored number of the input becomes; for steps that compute nothing but an activation or a
/// change of scale.
#[derive(Debug)]
pub(in crate::emulator) struct Table {
    entries: [i16; 256],
}

impl Table {
    /// `None` if every number stays what it is.
    pub(in crate::emulator) fn new(
        activation: Activation,
        input: &TensorSpec,
        output: &TensorSpec,
    ) -> Option<Self> {
        let mut entries = [0; 256];
        let mut changes = false;
        for byte in 0..=u8::MAX {
            let real = input.real(input.widen(byte));
            let stored = widen_i16(output, reference::quantise(real, activation, output));
            changes |= stored != widen_i16(input, byte);
            entries[usize::from(byte)] = stored;
        }
        changes.then_some(Self { entries })
    }

    pub(in crate::emulator) fn apply(&self, row: &mut [i16]) {
        for number in row {
            // The low byte of the i16 is the stored byte, whatever the sign.
            *number = self.entries[usize::from(number.to_le_bytes()[0])];
        }
    }
}
