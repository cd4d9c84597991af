//! The camera against real kernel interfaces.
//!
//! Needs the virtual camera of tests/vm, which these tests also feed: `tests/vm/run camera`.
//! `QSEGMENT_VM_FILES` names the folder of files that `tests/camera_files.rs` makes; without it everything
//! here is skipped, aloud. The tests share the one camera: run with `--test-threads=1`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod ages;
mod bench;
mod frames;
mod host;
mod loss;
mod tensors;
mod upload;
