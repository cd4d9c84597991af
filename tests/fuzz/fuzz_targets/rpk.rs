//! A file for the sensor.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::rpk(bytes));
