//! The text that describes networks and tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::dnn_params(bytes));
