//! The sensor's bytes: parsed, emitted, damaged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

/// Shared with the fuzz targets, where it is a library.
#[path = "../fuzz/exercise.rs"]
pub mod exercise;

#[path = "../packer_out/mod.rs"]
mod packer_out_file;

mod allocated;
mod ap_params;
mod buffer;
mod corpus;
mod damage;
mod damage_packer_out;
mod damage_rpk;
mod dnn_lines;
mod embedded;
mod input_tensor;
mod output_tensor;
mod print;
mod recording;
mod round_trip;
mod rpk;
mod socket;
