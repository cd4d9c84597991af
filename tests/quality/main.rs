//! The quality gate: on drawn pictures, where each criterion must fail for its own reason, and on CHASE_DB1 and spoilt
//! copies of it, on which its bounds were set.
//!
//! `SNAPSHOTS=overwrite cargo test --test quality -- --ignored --nocapture`, with QSEGMENT_CHASE_DIR, makes the figures of
//! docs/quality.md again, in a few minutes.

#[path = "../formats/allocated.rs"]
mod allocated;
mod copies;
mod degrade;
mod drawn;
mod eye;
mod figures;
mod pictures;
mod plot;
