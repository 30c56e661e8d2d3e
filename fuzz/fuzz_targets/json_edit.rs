//! Drives the property `json_edit` of `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gpt_load::fuzzing::json_edit(data));
