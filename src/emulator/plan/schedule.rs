//! Which row is made when: each as soon as those it reads are there, so that rows are read while they are
//! still in the cache, and few of them need to be kept.
//!
//! ```text
//!   picture  0 1 2 3   4   5   6 ...
//!   conv 3x3   0 1   2   3   4   ...     row 1 of it needs the rows 0, 1, 2 of the picture
//!   pool             0       1   ...     row 0 of it needs the rows 0, 1 of the convolution
//! ```

use std::ops::Range;

use super::step::Step;

/// The rows of one stage that one thread makes, in order.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) events: Vec<Event>,
    /// Of each tensor, how many of its last rows are still read; 0 where none is made here.
    pub(super) spans: Vec<usize>,
}

/// One row of a step's output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) step: usize,
    pub(super) row: usize,
}

/// The rows of each tensor that the steps must make so that those of `wanted` are made. `wanted`: by tensor, the
/// rows that are read from outside.
pub(super) fn rows_needed(steps: &[Step], wanted: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut needed = wanted.to_vec();
    for step in steps.iter().rev() {
        let made = needed[step.output].clone();
        if made.is_empty() {
            continue;
        }
        for (index, &tensor) in step.inputs.iter().enumerate() {
            let read =
                step.rows_read(index, made.start).start..step.rows_read(index, made.end - 1).end;
            let known = &mut needed[tensor];
            *known = if known.start >= known.end {
                read
            } else {
                known.start.min(read.start)..known.end.max(read.end)
            };
        }
    }
    needed
}

/// The order for `steps`, of which the first has index `first`.
pub(super) fn schedule(steps: &[Step], first: usize, wanted: &[Range<usize>]) -> Schedule {
    let needed = rows_needed(steps, wanted);
    let mut makers = vec![None; wanted.len()];
    for (at, step) in steps.iter().enumerate() {
        makers[step.output] = Some(at);
    }
    let mut next: Vec<usize> = needed.iter().map(|rows| rows.start).collect();
    let mut schedule = Schedule { events: Vec::new(), spans: vec![0; wanted.len()] };
    // The last tensor draws the others after it; what it does not need comes at the end.
    let mut calls = Vec::new();
    for step in steps.iter().rev() {
        for row in wanted[step.output].clone() {
            calls.push((step.output, row));
            while let Some(&(tensor, row)) = calls.last() {
                let Some(at) = makers[tensor].filter(|_| next[tensor] <= row) else {
                    calls.pop();
                    continue;
                };
                let step = &steps[at];
                let missing = step.inputs.iter().enumerate().find_map(|(index, &input)| {
                    let rows = step.rows_read(index, next[tensor]);
                    let there = makers[input].is_none() || rows.end <= next[input];
                    (!there && !rows.is_empty()).then(|| (input, rows.end - 1))
                });
                if let Some(missing) = missing {
                    calls.push(missing);
                    continue;
                }
                for (index, &input) in step.inputs.iter().enumerate() {
                    let rows = step.rows_read(index, next[tensor]);
                    if makers[input].is_some() && !rows.is_empty() {
                        let span = next[input] - rows.start;
                        schedule.spans[input] = schedule.spans[input].max(span);
                    }
                }
                schedule.spans[tensor] = schedule.spans[tensor].max(1);
                schedule.events.push(Event { step: first + at, row: next[tensor] });
                next[tensor] += 1;
            }
        }
    }
    schedule
}
