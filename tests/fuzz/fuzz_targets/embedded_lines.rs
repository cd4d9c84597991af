//! Two embedded lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::embedded_lines(bytes));
