//! Drives the property `http1` of `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gpt_load::fuzzing::http1(data));
