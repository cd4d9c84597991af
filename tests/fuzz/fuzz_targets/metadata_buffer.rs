//! Two bytes of line length, then a metadata buffer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::metadata_buffer(bytes));
