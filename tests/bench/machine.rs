//! What the kernel counts: processor time and memory of whole process trees, and the machine itself.

use std::collections::HashMap;
use std::fs;

/// Processor seconds, of user and kernel, that the processes `roots` and all their descendants have had, children that
/// ended included. To a hundredth of a second for each process.
pub(crate) fn processor_seconds(roots: &[u32]) -> f64 {
    let ticks: u64 = tree(roots).into_iter().filter_map(ticks).sum();
    ticks as f64 / TICKS_A_SECOND
}

/// The same of this process, the load generator: its threads, and the name server that they all ask.
pub(crate) fn own_processor_seconds() -> f64 {
    let own = Stat::of(std::process::id()).map_or(0, |stat| stat.own_ticks);
    own as f64 / TICKS_A_SECOND
}

/// Memory in KiB of the processes `roots` and all their descendants: the proportional set size, in which a page that
/// several processes share counts once in all.
pub(crate) fn memory(roots: &[u32]) -> f64 {
    let kib: u64 = tree(roots).into_iter().filter_map(proportional_set_size).sum();
    kib as f64
}

/// Jobs that ran or waited to run, on average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|figure| figure.parse().ok()).unwrap_or_default()
}

/// Processor, cores, memory and kernel in a line.
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

/// The processes and their descendants.
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

/// What this needs of `/proc/PID/stat` (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Of children that ended and were waited for.
    childrens_ticks: u64,
}

impl Stat {
    fn of(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
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

/// `USER_HZ`, which is 100 on every architecture that these servers run on.
const TICKS_A_SECOND: f64 = 100.0;
