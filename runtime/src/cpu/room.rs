//! How much memory the system has to give, said before any of it is taken: a system that gives more than it has ends
//! the process later.

/// The bytes that can be taken without harm, where the system tells.
#[cfg(target_os = "linux")]
pub(super) fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

/// The bytes that can be taken without harm, where the system tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn available() -> Option<u64> {
    None
}
