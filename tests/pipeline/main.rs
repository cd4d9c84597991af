//! The pipeline from bytes to published frames, on buffers that `buffers.rs` lays out as the sensor
//! does.

mod buffers;
mod decode;
mod host;
mod pictures;
mod recovery;
mod simulated;
mod threads;
mod window;
