//! Raw pictures that wait for their tensors.
//!
//! ```text
//!   buffer            7      8      9      10        the network saw frame 7 and answers in buffer 10:
//!   raw picture       7      8      9      10        picture 7 is shown, 8 to 10 go on waiting
//!   output tensor     -      -      -      of 7
//! ```
//!
//! Held by the receiver's number, for so long as an output may be late; what waits longer makes room, and
//! the frame that asks for it in vain is counted as `missing_pictures`. Memory goes round: a picture
//! swaps its bytes with those of one that was let go.

use std::collections::VecDeque;
use std::time::Duration;

use crate::source::RawPicture;

/// The latest raw pictures.
#[derive(Debug)]
pub(super) struct HeldPictures {
    held: VecDeque<(u64, RawPicture)>,
    spare: Vec<RawPicture>,
    capacity: usize,
}

impl HeldPictures {
    /// Nothing held yet.
    pub(super) fn new(frame_interval: Duration) -> Self {
        let latest = LONGEST_LAG.as_nanos() / frame_interval.as_nanos().max(1) + 1;
        let capacity = usize::try_from(latest).unwrap_or(MOST).clamp(LEAST, MOST);
        let held = VecDeque::with_capacity(capacity);
        Self { held, spare: Vec::with_capacity(capacity), capacity }
    }

    /// Swaps the picture of this buffer for old memory; a buffer without one changes nothing.
    pub(super) fn keep(&mut self, sequence: u64, picture: &mut RawPicture) {
        if picture.bytes.is_empty() {
            return;
        }
        if self.held.len() == self.capacity {
            self.let_go_oldest();
        }
        let mut kept = self.spare.pop().unwrap_or_default();
        std::mem::swap(&mut kept, picture);
        picture.bytes.clear();
        self.held.push_back((sequence, kept));
    }

    /// The picture of this frame. Outputs come in the order of their frames, so older ones are let go.
    pub(super) fn of_frame(&mut self, sequence: u64) -> Option<&RawPicture> {
        while self.held.front().is_some_and(|(held, _)| *held < sequence) {
            self.let_go_oldest();
        }
        self.held.front().filter(|(held, _)| *held == sequence).map(|(_, picture)| picture)
    }

    fn let_go_oldest(&mut self) {
        self.spare.extend(self.held.pop_front().map(|(_, picture)| picture));
    }
}

/// A network that takes 75 ms answers three frames later at 30 a second; this is twice as much.
const LONGEST_LAG: Duration = Duration::from_millis(200);
/// The frame itself and one that is late, however slow the frames.
const LEAST: usize = 2;
/// 31 MB of pictures of 2028 x 1520.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::HeldPictures;
    use crate::source::RawPicture;
    use std::time::Duration;

    fn picture(byte: u8) -> RawPicture {
        RawPicture { bytes: vec![byte; 5], width: 4, height: 1, ..RawPicture::default() }
    }

    /// Three frames long.
    fn held(numbers: &[u8]) -> HeldPictures {
        let mut held = HeldPictures::new(Duration::from_millis(100));
        for &number in numbers {
            held.keep(number.into(), &mut picture(number));
        }
        held
    }

    fn byte_of(held: &mut HeldPictures, sequence: u64) -> Option<u8> {
        held.of_frame(sequence).map(|picture| picture.bytes[0])
    }

    #[test]
    fn late_output_finds_its_own_picture() {
        let mut held = held(&[7, 8, 9]);
        assert_eq!(byte_of(&mut held, 7), Some(7));
        assert_eq!(byte_of(&mut held, 7), Some(7), "asked for again");
        assert_eq!(byte_of(&mut held, 9), Some(9));
        assert_eq!(byte_of(&mut held, 8), None, "older ones are let go");
    }

    #[test]
    fn one_that_waits_too_long_makes_room() {
        let mut held = held(&[1, 2, 3, 4]);
        assert_eq!(byte_of(&mut held, 1), None);
        assert_eq!(byte_of(&mut held, 2), Some(2));
    }

    #[test]
    fn buffer_without_a_picture_leaves_a_gap() {
        let mut held = held(&[1]);
        held.keep(2, &mut RawPicture::default());
        held.keep(3, &mut picture(3));
        assert_eq!(byte_of(&mut held, 2), None);
        assert_eq!(byte_of(&mut held, 3), Some(3));
    }

    #[test]
    fn memory_goes_round() {
        let mut held = held(&[]);
        let mut own = picture(0);
        let mut addresses = Vec::new();
        for sequence in 0..40 {
            own.bytes.resize(5, 1);
            addresses.push(own.bytes.as_ptr());
            held.keep(sequence, &mut own);
            assert!(own.bytes.is_empty());
        }
        addresses.sort_unstable();
        addresses.dedup();
        assert!(addresses.len() <= 4, "three held and the caller's: {}", addresses.len());
    }

    #[test]
    fn holds_as_many_as_an_output_can_be_late() {
        for (interval_ms, capacity) in [(33, 7), (100, 3), (1000, 2), (1, 8), (0, 8)] {
            assert_eq!(
                HeldPictures::new(Duration::from_millis(interval_ms)).capacity,
                capacity,
                "{interval_ms} ms"
            );
        }
    }
}
