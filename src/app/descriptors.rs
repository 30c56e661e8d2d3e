//! File descriptors: as many as the system allows, and so many client connections that upstreams get theirs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files, which shells and service managers set low for the sake of old programs, and says how
/// many client connections fit into it: each may need another one to an upstream.
pub(super) fn connections_max(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let open_files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "The limit of open files cannot be raised");
            limit.current
        }
    };
    // No limit at all is not one of ours.
    let fitting = open_files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    if fitting < wanted {
        tracing::warn!(
            open_files,
            connections = fitting,
            "The system allows fewer open files than MAX_CONNECTIONS needs (two for each); raise its limit (ulimit -n)"
        );
    }
    wanted.min(fitting)
}
