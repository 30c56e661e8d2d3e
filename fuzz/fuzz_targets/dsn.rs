//! Drives the property `dsn` of `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gpt_load::fuzzing::dsn(data));
