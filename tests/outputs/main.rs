//! Overlay, report, metrics and page, on frames and snapshots made by hand.

// clippy.toml allows it in tests, but sees a test only inside #[test] and cfg(test).
#![allow(clippy::unwrap_used, reason = "every function here belongs to a test")]

mod api;
mod exposition;
mod exposure;
mod metrics;
mod overlay;
mod report;
mod sample;
mod schema;
mod system_report;
mod web;
mod web_access;
mod web_control;
mod web_live;
