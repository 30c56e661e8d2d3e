//! What the process takes of its machine, as the system counts it.

use std::{fs, time::Duration};

/// Of the process since its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
}

/// `None`: this system does not say.
pub(super) fn usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    parse(&stat, &statm, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
}

/// proc(5): of `stat` the times in user and kernel mode are fields 14 and 15, of `statm` the resident pages are field 2.
fn parse(stat: &str, statm: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Usage> {
    // The second field is the program's name in brackets, which may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    let milliseconds = (ticks * 1_000).checked_div(ticks_per_second)?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Usage { cpu: Duration::from_millis(milliseconds), resident_bytes: pages * page_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_figures_are_read() {
        let stat = "7 (gpt (load) 1) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 100 1 2";
        let expected = Usage { cpu: Duration::from_secs(2), resident_bytes: 5 * 4_096 };
        assert_eq!(parse(stat, "9 5 1 1 0 1 0", 100, 4_096), Some(expected));
        for (stat, statm) in [("", "9 5"), (stat, "9"), (stat, ""), ("7 (x) S 1", "9 5"), (stat, "9 many")] {
            assert_eq!(parse(stat, statm, 100, 4_096), None, "{stat} {statm}");
        }
        assert_eq!(parse(stat, "9 5", 0, 4_096), None);
    }
}
