//! `gpt-load serve`: reads the configuration, starts the log, and runs until it is told to stop.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use crate::{
    app::{self, Purpose},
    config::Config,
    telemetry,
};

pub(super) fn serve(is_diagnosis: bool) -> ExitCode {
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => return refuse(&[format!("the working directory cannot be read: {error}")]),
    };
    let (config, mut warnings) = match Config::load(&directory, std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    if let Some(zone) = &config.time_zone {
        // Where it works this does not return.
        warnings.push(restart_in(zone));
    }
    let _flush_at_the_end = telemetry::start(config.log.level, config.log.json, config.log.file.as_deref());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let purpose = if is_diagnosis { Purpose::Diagnosis } else { Purpose::Service };
    match app::run(config, purpose) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each once: many of them quote the one below.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// The zone of local times is read from the process's own environment, which a running program must not change (other
/// threads may be reading it): so the same process begins anew with the zone that the `.env` file sets. Returns why it
/// could not.
fn restart_in(zone: &str) -> String {
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).env("TZ", zone).exec(),
        Err(error) => error,
    };
    format!("TZ={zone} of the file .env has no effect, set it in the environment instead: {error}")
}

/// There is no log yet, so the problems go where the operator looks first.
fn refuse(problems: &[String]) -> ExitCode {
    eprintln!("gpt-load cannot start:");
    for problem in problems {
        eprintln!("  - {problem}");
    }
    ExitCode::FAILURE
}
