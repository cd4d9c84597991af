//! Exposure and white balance before simulated scenes: whether they get there, how soon, and whether
//! they stay.

// clippy.toml allows it in tests, but sees a test only inside #[test] and cfg(test).
#![allow(clippy::unwrap_used, reason = "every function here belongs to a test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the rig's floats are clamped to what they are cast to"
)]

mod configured;
mod converging;
mod rig;
mod scenes;
