//! The zip archive that the converter writes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::packer_out(bytes));
