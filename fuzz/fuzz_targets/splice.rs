//! See [`volley_fuzz::splice_payloads`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| volley_fuzz::splice_payloads(bytes));
