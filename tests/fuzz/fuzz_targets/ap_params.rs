//! The FlatBuffer that describes networks and tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::ap_params(bytes));
