//! The time that a thread has computed: what a limit of time is held against on a machine that does other work too.

use std::time::{Duration, Instant};

/// How long the calling thread has computed, where the system says so (Linux); elsewhere the time since some moment.
///
/// # Panics
/// If Linux counts no times, which a kernel can be built without.
#[must_use]
pub fn thread_time() -> Duration {
    if cfg!(target_os = "linux") {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
        return Duration::from_nanos(nanoseconds.expect("the first number of schedstat is a time"));
    }
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
