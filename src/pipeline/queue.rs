//! The two ways in which a value leaves a thread: newest wins, or bounded in order. Both count what
//! they drop.
//!
//! ```text
//!   LatestSlot   put:   never waits, replaces   who shows the present: page, display
//!   Bounded      offer: never waits, refuses    who wants every frame in order: report, recording;
//!                put:   waits for room          and between the threads of the pipeline
//!                displace: never waits, drops   and there, when the reader is slow and wants the
//!                       the oldest              present
//! ```

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Holds the newest value; putting never blocks, and a value nobody took is replaced and counted.
#[derive(Debug)]
pub struct LatestSlot<T> {
    name: &'static str,
    state: Mutex<SlotState<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct SlotState<T> {
    value: Option<T>,
    replaced: u64,
    closed: bool,
}

/// What waiting for a value found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken<T> {
    /// A value.
    Value(T),
    /// None came in time.
    TimedOut,
    /// The writer is gone and nothing is left.
    Closed,
}

impl<T> LatestSlot<T> {
    /// An empty slot.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let state = SlotState { value: None, replaced: 0, closed: false };
        Self { name, state: Mutex::new(state), changed: Condvar::new() }
    }
    /// Never blocks: the display must not be able to slow the camera down.
    pub fn put(&self, value: T) {
        let mut state = self.state.lock().expect(NOT_POISONED);
        let replaced = state.value.replace(value);
        state.replaced += u64::from(replaced.is_some());
        // What the old value frees is freed outside the lock.
        drop(state);
        drop(replaced);
        self.changed.notify_one();
    }
    /// Waits for a value.
    pub fn take(&self, at_most: Duration) -> Taken<T> {
        match self.take_counted(at_most) {
            Taken::Value((value, _)) => Taken::Value(value),
            Taken::TimedOut => Taken::TimedOut,
            Taken::Closed => Taken::Closed,
        }
    }
    /// The same, and how many were replaced before it.
    pub fn take_counted(&self, at_most: Duration) -> Taken<(T, u64)> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(guard, at_most, |state| state.value.is_none() && !state.closed)
            .expect(NOT_POISONED);
        match state.value.take() {
            Some(value) => Taken::Value((value, state.replaced)),
            None if state.closed => Taken::Closed,
            None => Taken::TimedOut,
        }
    }
    /// No value will be put any more.
    pub fn close(&self) {
        self.state.lock().expect(NOT_POISONED).closed = true;
        self.changed.notify_all();
    }
    /// Values that nobody took in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.lock().expect(NOT_POISONED).replaced
    }
    /// Name under which drops are counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A first-in first-out queue of at most `capacity` values.
#[derive(Debug)]
pub struct Bounded<T> {
    name: &'static str,
    capacity: usize,
    is_waited_for: bool,
    state: Mutex<QueueState<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct QueueState<T> {
    values: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

impl<T> Bounded<T> {
    /// An empty queue; all its memory is allocated here. It holds at least one value: with room for
    /// none a waiting writer would wait for ever.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let values = VecDeque::with_capacity(capacity);
        let state = QueueState { values, dropped: 0, closed: false };
        let is_waited_for = true;
        Self { name, capacity, is_waited_for, state: Mutex::new(state), changed: Condvar::new() }
    }
    /// The same for a reader that may be slow whatever the policy of the run: its writer is to `offer`.
    #[must_use]
    pub fn offered(name: &'static str, capacity: usize) -> Self {
        Self { is_waited_for: false, ..Self::new(name, capacity) }
    }
    /// Whether a writer that loses nothing may wait for its reader.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.is_waited_for
    }
    /// Puts if there is room; else, or when the queue is closed, gives the value back and counts a
    /// refusal.
    pub fn offer(&self, value: T) -> Result<(), T> {
        let mut state = self.state.lock().expect(NOT_POISONED);
        if state.closed || state.values.len() >= self.capacity {
            state.dropped += 1;
            return Err(value);
        }
        state.values.push_back(value);
        self.changed.notify_all();
        Ok(())
    }
    /// Puts in any case; in a full queue the oldest value makes room, is counted as dropped and given back.
    /// When the queue is closed it gives the value back as the error and counts a refusal.
    pub fn displace(&self, value: T) -> Result<Option<T>, T> {
        let mut state = self.state.lock().expect(NOT_POISONED);
        if state.closed {
            state.dropped += 1;
            return Err(value);
        }
        let full = state.values.len() >= self.capacity;
        let oldest = if full { state.values.pop_front() } else { None };
        state.dropped += u64::from(full);
        state.values.push_back(value);
        self.changed.notify_all();
        Ok(oldest)
    }
    /// Waits for room; when the queue is closed it gives the value back and counts a refusal.
    /// A reader that leaves before the end must close the queue, else its writer waits for ever.
    pub fn put(&self, value: T) -> Result<(), T> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let mut state = self
            .changed
            .wait_while(guard, |state| state.values.len() >= self.capacity && !state.closed)
            .expect(NOT_POISONED);
        if state.closed {
            state.dropped += 1;
            return Err(value);
        }
        state.values.push_back(value);
        self.changed.notify_all();
        Ok(())
    }
    /// Waits for a value, but not for longer than that: for a reader with something else to do.
    pub fn take_within(&self, at_most: Duration) -> Taken<T> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(guard, at_most, |state| state.values.is_empty() && !state.closed)
            .expect(NOT_POISONED);
        match state.values.pop_front() {
            Some(value) => {
                self.changed.notify_all();
                Taken::Value(value)
            }
            None if state.closed => Taken::Closed,
            None => Taken::TimedOut,
        }
    }
    /// Waits for a value; `None` when the queue is closed and empty.
    pub fn take(&self) -> Option<T> {
        self.take_counted().map(|(value, _)| value)
    }
    /// The same, and how many were dropped until then. Where only `displace` puts, those are all older than
    /// the value.
    pub fn take_counted(&self) -> Option<(T, u64)> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let mut state = self
            .changed
            .wait_while(guard, |state| state.values.is_empty() && !state.closed)
            .expect(NOT_POISONED);
        let value = state.values.pop_front();
        self.changed.notify_all();
        Some((value?, state.dropped))
    }
    /// Whether nothing waits in it now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.lock().expect(NOT_POISONED).values.is_empty()
    }
    /// No value is accepted any more; what is inside can still be taken.
    pub fn close(&self) {
        self.state.lock().expect(NOT_POISONED).closed = true;
        self.changed.notify_all();
    }
    /// Values refused or displaced because the queue was full or closed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.lock().expect(NOT_POISONED).dropped
    }
    /// Values it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// Name under which refusals are counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

const NOT_POISONED: &str = "no code panics while it holds this lock";

#[cfg(test)]
mod tests {
    use super::{Bounded, LatestSlot, Taken};
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Longer than any machine needs; only a hang reaches it.
    const FOR_EVER: Duration = Duration::from_secs(60);

    #[test]
    fn full_queue_drops_its_oldest_for_whoever_wants_the_newest() {
        let queue = Bounded::new("capture", 2);
        let given_back = [1, 2, 3, 4].map(|value| queue.displace(value));
        assert_eq!(given_back, [Ok(None), Ok(None), Ok(Some(1)), Ok(Some(2))]);
        assert_eq!(queue.take_counted(), Some((3, 2)));
        assert!(!queue.is_empty());
        queue.close();
        assert_eq!(queue.displace(5), Err(5));
        assert_eq!(queue.take_counted(), Some((4, 3)));
        assert!(queue.is_empty());
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn reader_with_something_else_to_do_waits_no_longer_than_it_said() {
        let queue = Bounded::new("record", 2);
        assert_eq!(queue.take_within(Duration::ZERO), Taken::TimedOut);
        queue.put(1).unwrap();
        queue.close();
        assert_eq!(queue.take_within(FOR_EVER), Taken::Value(1));
        assert_eq!(queue.take_within(FOR_EVER), Taken::Closed);
    }

    #[test]
    fn slot_hands_out_the_newest_value_and_counts_the_replaced() {
        let slot = LatestSlot::new("page");
        for value in 1..=3 {
            slot.put(value);
        }
        assert_eq!(slot.take_counted(FOR_EVER), Taken::Value((3, 2)));
        assert_eq!(slot.dropped(), 2);
        assert_eq!(slot.take(Duration::ZERO), Taken::TimedOut);
        slot.put(4);
        assert_eq!(slot.take(FOR_EVER), Taken::Value(4));
        assert_eq!(slot.dropped(), 2, "a value that was taken is not dropped");
    }

    #[test]
    fn closed_slot_gives_its_last_value_first() {
        let slot = LatestSlot::new("page");
        slot.put(1);
        slot.close();
        assert_eq!(slot.take(FOR_EVER), Taken::Value(1));
        assert_eq!(slot.take(FOR_EVER), Taken::Closed);
    }

    #[test]
    fn slot_wakes_its_reader() {
        let slot = Arc::new(LatestSlot::new("page"));
        let (taken, results) = mpsc::channel();
        let reader = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                while let Taken::Value(value) = slot.take(FOR_EVER) {
                    taken.send(value).unwrap();
                }
            })
        };
        for value in 0..100 {
            slot.put(value);
            assert_eq!(results.recv(), Ok(value), "each value was taken before the next was put");
        }
        slot.close();
        reader.join().unwrap();
        assert_eq!(slot.dropped(), 0);
    }

    #[test]
    fn full_queue_refuses_and_gives_back() {
        let queue = Bounded::new("report", 2);
        assert_eq!(queue.offer(1), Ok(()));
        assert_eq!(queue.offer(2), Ok(()));
        assert_eq!(queue.offer(3), Err(3));
        assert_eq!(queue.dropped(), 1);
        assert_eq!((queue.take(), queue.take()), (Some(1), Some(2)));
    }

    #[test]
    fn closed_queue_refuses_new_values_and_hands_out_the_old() {
        let queue = Bounded::new("report", 2);
        queue.put(1).unwrap();
        queue.close();
        assert_eq!((queue.offer(2), queue.put(3)), (Err(2), Err(3)));
        assert_eq!(queue.dropped(), 2);
        assert_eq!((queue.take(), queue.take()), (Some(1), None));
    }

    #[test]
    fn queue_for_nothing_holds_one() {
        let queue = Bounded::new("report", 0);
        assert_eq!((queue.offer(1), queue.offer(2)), (Ok(()), Err(2)));
    }

    #[test]
    fn waiting_writer_loses_nothing_and_keeps_the_order() {
        let queue = Arc::new(Bounded::new("capture", 3));
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for value in 0..1000 {
                    queue.put(value).unwrap();
                }
                queue.close();
            })
        };
        let mut got = Vec::new();
        while let Some(value) = queue.take() {
            got.push(value);
        }
        writer.join().unwrap();
        assert_eq!(got, (0..1000).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn closing_wakes_a_writer_that_waits_for_room() {
        let queue = Arc::new(Bounded::new("capture", 1));
        queue.put(1).unwrap();
        let (started, starts) = mpsc::channel();
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                started.send(()).unwrap();
                queue.put(2)
            })
        };
        starts.recv().unwrap();
        queue.close();
        assert_eq!(writer.join().unwrap(), Err(2));
    }

    #[test]
    fn closing_wakes_a_reader_that_waits_for_a_value() {
        let queue = Arc::new(Bounded::<u8>::new("capture", 1));
        let reader = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take())
        };
        queue.close();
        assert_eq!(reader.join().unwrap(), None);
    }
}
