//! What the program says about itself: log lines as text or JSON, on standard output and in a rotating file.

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    path::Path,
    sync::OnceLock,
};

use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// A log file is renamed when it has grown beyond this size.
const FILE_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Renamed files that are kept beside the current one.
const OLD_FILES_MAX: usize = 5;
/// Lines that wait for a slow disk or terminal; beyond it they are dropped and counted.
const LINES_PENDING_MAX: usize = 8_192;
/// Libraries whose inner life is of no interest below a warning, whatever the level.
const QUIET: [&str; 7] = ["h2", "http", "hyper", "hyper_util", "rustls", "sqlx", "tower"];

static DROPPED: OnceLock<Vec<ErrorCounter>> = OnceLock::new();

/// Writes what is pending when it is dropped: keep it until the process ends.
pub(crate) struct Flush {
    _writers: Vec<WorkerGuard>,
}

/// Starts the log. A file that cannot be written is told in the log itself, and does not stop the service.
pub(crate) fn start(level: LevelFilter, json: bool, path: Option<&Path>) -> Flush {
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (output, output_guard) = non_blocking(io::stdout());
    let (file, trouble) = match path.map(|path| rotating_file(path, FILE_BYTES_MAX)) {
        None => (None, None),
        Some(Ok(file)) => (Some(non_blocking(file)), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let (file, file_guard) = file.unzip();
    let counters = std::iter::once(&output).chain(&file).map(NonBlocking::error_counter).collect();
    let started = tracing_subscriber::registry()
        .with(levels(level))
        .with(lines(output, json, colours))
        .with(file.map(|file| lines(file, json, false)))
        .try_init();
    // Somebody else's subscriber is there already in tests of several servers in one process; it stays.
    if started.is_ok() {
        DROPPED.get_or_init(|| counters);
    }
    if let (Some(error), Some(path)) = (trouble, path) {
        tracing::warn!(path = %path.display(), %error, "The log file cannot be written; the log goes to standard output only");
    }
    Flush { _writers: std::iter::once(output_guard).chain(file_guard).collect() }
}

/// Log lines that were dropped since the start, because writing them could not keep up.
pub(crate) fn lines_dropped() -> usize {
    DROPPED.get().map_or(0, |counters| counters.iter().map(ErrorCounter::dropped_lines).sum())
}

fn non_blocking(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().buffered_lines_limit(LINES_PENDING_MAX).lossy(true).thread_name("log").finish(writer)
}

fn rotating_file(path: &Path, bytes_max: usize) -> io::Result<FileRotate<AppendCount>> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // The rotating writer itself would swallow an error.
    fs::OpenOptions::new().create(true).append(true).open(path)?;
    let limit = ContentLimit::BytesSurpassed(bytes_max);
    Ok(FileRotate::new(path, AppendCount::new(OLD_FILES_MAX), limit, Compression::None, None))
}

fn levels(level: LevelFilter) -> Targets {
    let quiet = QUIET.map(|library| (library, level.min(LevelFilter::WARN)));
    // A line for each connection that is lost says nothing that the statement on it does not.
    let pools = ("sqlx_core::pool", level.min(LevelFilter::ERROR));
    Targets::new().with_default(level).with_targets(quiet).with_targets([pools])
}

/// Lines in one of the two forms, times in the zone of `TZ`.
fn lines<S, W>(writer: W, json: bool, colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    if json {
        layer.json().flatten_event(true).with_timer(LocalTime("%Y-%m-%dT%H:%M:%S%.3f%:z")).boxed()
    } else {
        layer.with_timer(LocalTime("%Y-%m-%d %H:%M:%S%.3f")).boxed()
    }
}

struct LocalTime(&'static str);

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", chrono::Local::now().format(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, json: bool, act: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber =
            tracing_subscriber::registry().with(levels(level)).with(lines(move || writer.clone(), json, false));
        tracing::subscriber::with_default(subscriber, act);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_lines_read_alone_and_carry_their_fields() {
        let text = logged(LevelFilter::INFO, false, || {
            tracing::info!(key.id = 7, "Took a key out of rotation");
            tracing::debug!("hidden");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains(" INFO ") && text.contains("Took a key out of rotation key.id=7"), "{text}");
    }

    #[test]
    fn json_lines_have_their_fields_at_the_top() {
        let text = logged(LevelFilter::INFO, true, || tracing::warn!(key.id = 7, "Took a key\nout"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "Took a key\nout");
        assert_eq!(line["key.id"], 7);
        let time = line["timestamp"].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(time).unwrap();
    }

    #[test]
    fn libraries_are_heard_from_warnings_up() {
        let text = logged(LevelFilter::TRACE, false, || {
            tracing::trace!("ours");
            tracing::debug!(target: "hyper::proto", "theirs");
            tracing::warn!(target: "sqlx::query", "serious");
        });
        assert!(text.contains("ours") && text.contains("serious") && !text.contains("theirs"), "{text}");
        let text = logged(LevelFilter::ERROR, false, || tracing::warn!(target: "sqlx", "too low"));
        assert_eq!(text, "");
    }

    #[test]
    fn the_file_is_appended_to_and_rotated_by_size() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("logs/app.log");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "an earlier run\n").unwrap();
        let mut file = rotating_file(&path, 40).unwrap();
        for number in 0..40 {
            file.write_all(format!("line {number:02}\n").as_bytes()).unwrap();
        }
        drop(file);
        let oldest_kept = fs::read_to_string(path.with_extension(format!("log.{OLD_FILES_MAX}"))).unwrap();
        assert!(oldest_kept.starts_with("line "), "lines stay whole: {oldest_kept}");
        assert!(!path.with_extension(format!("log.{}", OLD_FILES_MAX + 1)).exists());

        let mut file = rotating_file(&home.path().join("app.log"), 1000).unwrap();
        writeln!(file, "first").unwrap();
        drop(file);
        writeln!(rotating_file(&home.path().join("app.log"), 1000).unwrap(), "second").unwrap();
        assert_eq!(fs::read_to_string(home.path().join("app.log")).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        assert!(rotating_file(&home.path().join("file/app.log"), 1000).is_err());
        assert!(rotating_file(home.path(), 1000).is_err());
    }
}
