//! What leaves the daemon: overlay, page, metrics, report.
