//! The screen on real kernel interfaces: vkms, whose writeback says what was on the glass, and virtio-gpu, whose
//! screen the host dumps.
//!
//! Needs the virtual machine: `tests/vm/run display`. `QSEGMENT_DISPLAY_CARD` names the card; without it everything
//! here is skipped, aloud. The tests share the card: run with `--test-threads=1`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod bench;
mod daemon;
mod dump;
mod gallery;
mod lockstep;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../mctq_file/mod.rs"]
mod mctq_file;
mod numbered_scene;
mod reference;
mod screens;
mod writeback;
