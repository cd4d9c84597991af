//! Bytes to values and back: the sensor's metadata buffer, and the file for the sensor.
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
//! ```text
//!   packerOut.zip --packer_out.rs--> network.rpk
//!     dnn_params.rs (XML)              rpk.rs       blocks, sections:  ap_params.rs, dsp_params.rs, binaries
//!                                      cpio.rs      archive behind them:
//!                                        imx500_regs.rs, network_info.rs, network_intrinsics.rs
//!   kernel_driver.rs reads an .rpk as the driver does;  refusal.rs is why any of these is refused
//! ```
//!
//! What a run leaves in a file, and a replay reads from it, is in `recording`; what other programs on the same machine
//! read from a socket, in `socket`.
//!
//! Everything here is pure: no I/O of its own, no clock, no log, no unsafe. Parsers refuse with field, offset,
//! got and want; they never panic and never allocate more than their stated bound.

pub mod ap_params;
pub mod cpio;
pub mod dnn_lines;
pub mod dnn_params;
pub mod dsp_params;
pub mod embedded;
mod flat_buffer;
pub mod imx500_regs;
mod input_norm;
pub mod input_tensor;
pub mod kernel_driver;
mod line_stream;
pub mod metadata;
pub mod network_info;
pub mod network_intrinsics;
pub mod output_tensor;
pub mod packer_out;
pub mod print;
pub mod reader;
pub mod recording;
pub mod refusal;
pub mod rpk;
pub mod socket;
pub mod tensor;
