//! `gpt-load serve`: reads the configuration, starts the log, and runs until it is told to stop.

use std::process::ExitCode;

use crate::{app, config::Config, telemetry};

pub(super) fn serve() -> ExitCode {
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => return refuse(&[format!("the working directory cannot be read: {error}")]),
    };
    let (config, warnings) = match Config::load(&directory, std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    let _flush_at_the_end = telemetry::start(config.log.level, config.log.json, config.log.file.as_deref());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match app::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// There is no log yet, so the problems go where the operator looks first.
fn refuse(problems: &[String]) -> ExitCode {
    eprintln!("gpt-load cannot start:");
    for problem in problems {
        eprintln!("  - {problem}");
    }
    ExitCode::FAILURE
}
