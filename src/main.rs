//! The `qsegment` command.
fn main() {}
