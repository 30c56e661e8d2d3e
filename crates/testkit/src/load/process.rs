//! CPU time and memory of processes, from /proc.

#![expect(clippy::disallowed_methods, reason = "the sampler is a thread")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

/// The unit of times in /proc/PID/stat; the kernel has used no other for programs since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_KIBIBYTES: u64 = 4;
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// What a group of processes used during a run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    pub user_seconds: f64,
    pub system_seconds: f64,
    /// Both, for each request of the run.
    pub cpu_microseconds_per_request: f64,
    pub resident_kibibytes_before: u64,
    pub resident_kibibytes_peak: u64,
    /// Shared pages divided among those who share them.
    pub proportional_kibibytes_before: u64,
    pub proportional_kibibytes_peak: u64,
}

#[derive(Clone, Copy, Default)]
struct Memory {
    resident_kibibytes: u64,
    proportional_kibibytes: u64,
}

/// The processes of a run, by name.
pub(super) struct Watched {
    groups: Arc<Vec<(String, Vec<u32>)>>,
}

/// A measurement that has begun.
pub(super) struct Measurement {
    groups: Arc<Vec<(String, Vec<u32>)>>,
    cpu_before: Vec<(f64, f64)>,
    memory_before: Vec<Memory>,
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Vec<Memory>>,
}

impl Watched {
    pub(super) fn new(groups: Vec<(String, Vec<u32>)>) -> Self {
        Self { groups: Arc::new(groups) }
    }

    pub(super) fn begin(self) -> io::Result<Measurement> {
        let groups = self.groups;
        let memory_before = groups.iter().map(|(_, ids)| memory(ids)).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let sampler = thread::spawn({
            let (groups, stop, mut peaks) = (Arc::clone(&groups), Arc::clone(&stop), memory_before.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(SAMPLE_INTERVAL);
                    for (peak, (_, ids)) in peaks.iter_mut().zip(groups.iter()) {
                        // A process that has just ended has no memory left to count.
                        let now = memory(ids).unwrap_or_default();
                        peak.resident_kibibytes = peak.resident_kibibytes.max(now.resident_kibibytes);
                        peak.proportional_kibibytes = peak.proportional_kibibytes.max(now.proportional_kibibytes);
                    }
                }
                peaks
            }
        });
        let cpu_before = groups.iter().map(|(_, ids)| cpu_seconds(ids)).collect::<io::Result<_>>()?;
        Ok(Measurement { groups, cpu_before, memory_before, stop, sampler })
    }
}

impl Measurement {
    /// Ends the measurement of a run of so many requests.
    pub(super) fn end(self, requests: u64) -> io::Result<BTreeMap<String, Usage>> {
        let cpu_after = self.groups.iter().map(|(_, ids)| cpu_seconds(ids)).collect::<io::Result<Vec<_>>>()?;
        self.stop.store(true, Ordering::Relaxed);
        let peaks = self.sampler.join().map_err(|_| io::Error::other("the memory sampler panicked"))?;
        let mut usages = BTreeMap::new();
        for (index, (name, _)) in self.groups.iter().enumerate() {
            let user_seconds = cpu_after[index].0 - self.cpu_before[index].0;
            let system_seconds = cpu_after[index].1 - self.cpu_before[index].1;
            usages.insert(
                name.clone(),
                Usage {
                    user_seconds,
                    system_seconds,
                    cpu_microseconds_per_request: (user_seconds + system_seconds) * 1e6 / requests.max(1) as f64,
                    resident_kibibytes_before: self.memory_before[index].resident_kibibytes,
                    resident_kibibytes_peak: peaks[index].resident_kibibytes,
                    proportional_kibibytes_before: self.memory_before[index].proportional_kibibytes,
                    proportional_kibibytes_peak: peaks[index].proportional_kibibytes,
                },
            );
        }
        Ok(usages)
    }
}

/// User and system time of all threads of these processes since they began.
fn cpu_seconds(ids: &[u32]) -> io::Result<(f64, f64)> {
    let mut sum = (0.0, 0.0);
    for id in ids {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name, in brackets, may hold anything; the counted fields begin after it.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let mut fields = fields.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
        sum.0 += fields.next().ok_or(io::ErrorKind::InvalidData)? / TICKS_PER_SECOND;
        sum.1 += fields.next().ok_or(io::ErrorKind::InvalidData)? / TICKS_PER_SECOND;
    }
    Ok(sum)
}

fn memory(ids: &[u32]) -> io::Result<Memory> {
    let mut sum = Memory::default();
    for id in ids {
        let statm = fs::read_to_string(format!("/proc/{id}/statm"))?;
        let pages: u64 =
            statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        sum.resident_kibibytes += pages * PAGE_KIBIBYTES;
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or(io::ErrorKind::InvalidData)?;
        let kibibytes = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        sum.proportional_kibibytes += kibibytes.ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_of_our_own_process_are_seen() {
        let watched = Watched::new(vec![("own".to_owned(), vec![std::process::id()])]);
        let measurement = watched.begin().unwrap();
        let block = vec![1_u8; 64 * 1024 * 1024];
        let begin = std::time::Instant::now();
        let mut sum = 0_u64;
        while begin.elapsed() < Duration::from_millis(300) {
            sum = block.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        }
        assert_ne!(sum, 0);
        let usage = measurement.end(10).unwrap()["own"];
        let seconds = usage.user_seconds + usage.system_seconds;
        assert!(seconds > 0.05, "300 ms of work count as {seconds} s");
        assert!(usage.resident_kibibytes_peak >= usage.resident_kibibytes_before + 60_000, "{usage:?}");
        assert!(usage.proportional_kibibytes_peak >= usage.proportional_kibibytes_before + 60_000, "{usage:?}");
    }
}
