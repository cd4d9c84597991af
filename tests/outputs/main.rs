//! Overlay, report, metrics and page, on frames and snapshots made by hand.

mod metrics;
mod overlay;
mod report;
mod sample;
mod web;
