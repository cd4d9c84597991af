//! The FlatBuffer that the DSP reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qsegment_fuzz::dsp_params_buffer(bytes));
