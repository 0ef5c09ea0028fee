//! Kernel counters: processor time and memory of process trees, and a description of the machine.

use std::collections::HashMap;
use std::fs;

/// Processor seconds (user and kernel) of the processes `roots` and all their descendants, including children
/// that have ended. The resolution is 0.01 s per process.
pub(crate) fn processor_seconds(roots: &[u32]) -> f64 {
    let ticks: u64 = tree(roots).into_iter().filter_map(ticks).sum();
    ticks as f64 / TICKS_A_SECOND
}

/// Processor seconds of this process: the threads of the load generator and the DNS server of the benchmark.
pub(crate) fn own_processor_seconds() -> f64 {
    let own = Stat::of(std::process::id()).map_or(0, |stat| stat.own_ticks);
    own as f64 / TICKS_A_SECOND
}

/// Memory in KiB of the processes `roots` and all their descendants: the proportional set size, which counts
/// a page shared by several processes once in total.
pub(crate) fn memory(roots: &[u32]) -> f64 {
    let kib: u64 = tree(roots).into_iter().filter_map(proportional_set_size).sum();
    kib as f64
}

/// Average number of running or runnable jobs during the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|figure| figure.parse().ok()).unwrap_or_default()
}

/// Processor, cores, memory and kernel on one line.
pub(crate) fn description() -> String {
    let of = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("?", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kib: u64 = of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = of("/proc/cpuinfo", "model name");
    format!("{model}, {cores} cores, {} GiB, Linux {}", (kib + (1 << 19)) >> 20, kernel.trim())
}

/// Returns the processes `roots` and all their descendants.
fn tree(roots: &[u32]) -> Vec<u32> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = Stat::of(process) {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.get(process).into_iter().flatten().copied().collect::<Vec<_>>());
        next += 1;
    }
    found
}

fn ticks(process: u32) -> Option<u64> {
    Stat::of(process).map(|stat| stat.own_ticks + stat.childrens_ticks)
}

/// Selected fields of `/proc/PID/stat` (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Ticks of children that have ended and were waited for.
    childrens_ticks: u64,
}

impl Stat {
    fn of(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The process name, in parentheses, may contain any character.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let figure = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: figure(11)? + figure(12)?,
            childrens_ticks: figure(13)? + figure(14)?,
        })
    }
}

fn proportional_set_size(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// `USER_HZ`: 100 on every architecture supported by these servers.
const TICKS_A_SECOND: f64 = 100.0;
