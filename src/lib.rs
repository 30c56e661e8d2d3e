//! GPT-Load: a transparent proxy for AI APIs. The rooms of the house, from the roof down; `ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod cli;

mod app;

// Planes: they never import each other.
mod api;
mod proxy;
mod web;

// How stored keys come to another passphrase.
mod rekey;

// What both planes are measured by; several nodes as one.
mod cluster;
mod metrics;

// Living rooms: state that moves.
mod keypool;
mod request_log;

mod stats;

// Rules, and the state they need in memory.
mod group;

mod channel;
mod upstream;

mod settings;

// Long jobs with progress.
mod task;

// Ground.
mod config;
mod crypto;
mod db;
mod http1;
mod json;
mod redis;
mod telemetry;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
