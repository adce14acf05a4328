//! See [`volley_fuzz::layout`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| volley_fuzz::layout(bytes));
