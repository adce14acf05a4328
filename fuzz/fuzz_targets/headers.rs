//! See [`volley_fuzz::headers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| volley_fuzz::headers(bytes));
