//! Published frames, used again once every output has let go of them.
//!
//! ```text
//!   decode's own Frame --swap--> a frame nobody else holds --Arc--> outputs
//!                       <------- its old buffers, for the next frame
//! ```
//!
//! Once every frame of the pool has held one picture, publishing allocates nothing.

use std::sync::Arc;

use super::Frame;

/// At most `capacity` frames, made when they are first needed.
#[derive(Debug)]
pub(super) struct FramePool {
    frames: Vec<Arc<Frame>>,
    capacity: usize,
    dropped: u64,
}

impl FramePool {
    /// An empty pool.
    #[must_use]
    pub(super) fn new(capacity: usize) -> Self {
        Self { frames: Vec::with_capacity(capacity), capacity, dropped: 0 }
    }
    /// Swaps `frame` into a frame that no output holds any more; `frame` gets that one's old
    /// buffers. None, and one more drop, when the outputs hold all of them.
    pub(super) fn share(&mut self, frame: &mut Frame) -> Option<Arc<Frame>> {
        let free = self.frames.iter_mut().position(|shared| Arc::get_mut(shared).is_some());
        let index = match free {
            Some(index) => index,
            None if self.frames.len() < self.capacity => {
                self.frames.push(Arc::default());
                self.frames.len() - 1
            }
            None => {
                self.dropped += 1;
                return None;
            }
        };
        let unshared = Arc::get_mut(&mut self.frames[index])
            .expect("only this pool can clone a frame that it alone holds");
        std::mem::swap(unshared, frame);
        Some(Arc::clone(&self.frames[index]))
    }
    /// Frames that were not published because the outputs held all the others.
    #[must_use]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::FramePool;
    use crate::pipeline::Frame;
    use std::sync::Arc;

    #[test]
    fn frame_that_was_let_go_is_used_again() {
        let mut pool = FramePool::new(4);
        let mut own = Frame { sequence: 1, rgb: vec![1; 12], ..Frame::default() };
        let first = pool.share(&mut own).unwrap();
        assert_eq!((first.sequence, first.rgb.as_slice()), (1, [1; 12].as_slice()));
        let address = Arc::as_ptr(&first);
        drop(first);
        own.sequence = 2;
        let second = pool.share(&mut own).unwrap();
        assert_eq!(Arc::as_ptr(&second), address);
        assert_eq!(own.rgb, [1; 12], "the old buffers come back");
    }

    #[test]
    fn frame_that_is_held_is_left_alone() {
        let mut pool = FramePool::new(4);
        let mut own = Frame { sequence: 1, ..Frame::default() };
        let held = pool.share(&mut own).unwrap();
        for sequence in 2..10 {
            own.sequence = sequence;
            assert_eq!(pool.share(&mut own).unwrap().sequence, sequence);
        }
        assert_eq!(held.sequence, 1);
        assert_eq!(pool.dropped(), 0);
    }

    #[test]
    fn drop_is_counted_when_all_are_held() {
        let mut pool = FramePool::new(2);
        let mut own = Frame::default();
        let held = [pool.share(&mut own), pool.share(&mut own)];
        assert!(held.iter().all(Option::is_some));
        assert!(pool.share(&mut own).is_none());
        assert_eq!(pool.dropped(), 1);
        drop(held);
        assert!(pool.share(&mut own).is_some());
        assert_eq!(pool.dropped(), 1);
    }
}
