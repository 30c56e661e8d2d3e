//! Drives the property `dotenv` of `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gpt_load::fuzzing::dotenv(data));
