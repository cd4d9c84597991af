//! Bytes to values and back: the sensor's metadata buffer.
//!
//! ```text
//!   metadata buffer of one frame
//!   +------------------+----------+----------------------+----------------------+------+
//!   | 2 embedded lines | KPI line | input tensor lines   | output tensor lines  | PQ   |
//!   | 2 x E bytes      | 2560     | 2560 x in_lines      | 2560 x out_lines     | 2560 |
//!   +------------------+----------+----------------------+----------------------+------+
//!    embedded.rs        dnn_lines.rs splits;  ap_params.rs describes;  tensors in *_tensor.rs
//!   metadata.rs parts embedded lines and DNN lines;  print.rs says what the whole holds
//! ```
//!
//! Everything here is pure: no I/O, no clock, no log, no unsafe. Parsers refuse with field, offset,
//! got and want; they never panic and never allocate more than their stated bound.

pub mod ap_params;
pub mod dnn_lines;
pub mod embedded;
mod flat_buffer;
pub mod input_tensor;
mod line_stream;
pub mod metadata;
pub mod output_tensor;
pub mod print;
pub mod reader;
pub mod tensor;
