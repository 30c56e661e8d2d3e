//! Drives the property `status_codes` of `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gpt_load::fuzzing::status_codes(data));
