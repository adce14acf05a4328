//! See [`volley_fuzz::decode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| volley_fuzz::decode(bytes));
