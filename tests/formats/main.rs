//! The sensor's bytes: parsed, emitted, damaged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod ap_params;
mod dnn_lines;
mod embedded;
mod input_tensor;
mod output_tensor;
