//! qsegment: neural networks that run inside the image sensor, and the host software around them.
//!
//! The folders are the floors. A file uses the floors under it and its own, never one above;
//! `tests/floors.rs` fails when one does.
//!
//! ```text
//!   cli       main.rs, cli/   words the operator types; exit codes      (in the binary)
//!   outputs   outputs/        overlay, page, metrics, report            may be slow, may drop
//!   pipeline  pipeline/       threads, decode, pairing, vessels         never waits for an output
//!   source    source/         camera, simulated sensor; clock           blocks on its device only
//!   emulator  emulator/       the int8 network on the CPU               arithmetic, no I/O
//!   formats   formats/        bytes <-> values                          no I/O, no clock, no log
//!   evaluation   evaluation/  masks against a drawn truth               arithmetic, no I/O
//! ```
//!
//! A frame's way, once:
//!
//! ```text
//!   source --RawFrame--> decode -> pairing -> vessels --Frame--> one latest-value slot per output
//! ```

pub mod emulator;
pub mod evaluation;
pub mod formats;
pub mod outputs;
pub mod pipeline;
pub mod source;
