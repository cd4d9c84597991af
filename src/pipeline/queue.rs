//! The two ways in which a value leaves a thread: newest wins, or bounded in order. Both count what they drop.

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
        if state.value.replace(value).is_some() {
            state.replaced += 1;
        }
        self.changed.notify_one();
    }
    /// Waits for a value.
    pub fn take(&self, at_most: Duration) -> Taken<T> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(guard, at_most, |state| state.value.is_none() && !state.closed)
            .expect(NOT_POISONED);
        match state.value.take() {
            Some(value) => Taken::Value(value),
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
    state: Mutex<QueueState<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct QueueState<T> {
    values: VecDeque<T>,
    refused: u64,
    closed: bool,
}

impl<T> Bounded<T> {
    /// An empty queue; all its memory is allocated here.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        let values = VecDeque::with_capacity(capacity);
        let state = QueueState { values, refused: 0, closed: false };
        Self { name, capacity, state: Mutex::new(state), changed: Condvar::new() }
    }
    /// Puts if there is room; else gives the value back and counts a refusal.
    pub fn offer(&self, value: T) -> Result<(), T> {
        let mut state = self.state.lock().expect(NOT_POISONED);
        if state.closed || state.values.len() >= self.capacity {
            state.refused += 1;
            return Err(value);
        }
        state.values.push_back(value);
        self.changed.notify_all();
        Ok(())
    }
    /// Waits for room; gives the value back when the queue is closed.
    pub fn put(&self, value: T) -> Result<(), T> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let mut state = self
            .changed
            .wait_while(guard, |state| state.values.len() >= self.capacity && !state.closed)
            .expect(NOT_POISONED);
        if state.closed {
            return Err(value);
        }
        state.values.push_back(value);
        self.changed.notify_all();
        Ok(())
    }
    /// Waits for a value; `None` when the queue is closed and empty.
    pub fn take(&self) -> Option<T> {
        let guard = self.state.lock().expect(NOT_POISONED);
        let mut state = self
            .changed
            .wait_while(guard, |state| state.values.is_empty() && !state.closed)
            .expect(NOT_POISONED);
        let value = state.values.pop_front();
        self.changed.notify_all();
        value
    }
    /// Takes a value if there is one.
    pub fn try_take(&self) -> Option<T> {
        let value = self.state.lock().expect(NOT_POISONED).values.pop_front();
        self.changed.notify_all();
        value
    }
    /// No value is accepted any more; what is inside can still be taken.
    pub fn close(&self) {
        self.state.lock().expect(NOT_POISONED).closed = true;
        self.changed.notify_all();
    }
    /// Values refused because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.lock().expect(NOT_POISONED).refused
    }
    /// Name under which refusals are counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

const NOT_POISONED: &str = "no code panics while it holds this lock";
