//! The processor as a device: its threads, which sessions share, and its profile.

use std::num::NonZero;
use std::sync::Arc;

use nnc_wgsl::Profile;
use rayon::ThreadPool;

use crate::session::DeviceSummary;

/// The processor. Clones share its threads.
#[derive(Clone, Debug)]
pub struct Processor {
    name: String,
    threads: usize,
    pool: Option<Arc<ThreadPool>>,
    profile: Profile,
}

impl Processor {
    /// With so many threads, or as many as run at the same time.
    ///
    /// # Panics
    /// Never: the profile has its name.
    #[must_use]
    pub fn new(threads: Option<usize>) -> Processor {
        let parallel = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let wanted = threads.unwrap_or_else(parallel).max(1);
        // Where the system gives no threads, the caller's own does the work.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(wanted)
            .thread_name(|number| format!("nnc {number}"))
            .build()
            .ok()
            .filter(|_| wanted > 1);
        let threads = if pool.is_some() { wanted } else { 1 };
        let name = format!("CPU, {threads} thread{}", if threads == 1 { "" } else { "s" });
        let profile = Profile::named("cpu").expect("the built-in profiles have names");
        Processor { name, threads, pool: pool.map(Arc::new), profile }
    }

    /// `CPU, 2 threads`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many threads work on a step.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The profile that models are compiled for.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// It as `nnc devices` shows it.
    pub(crate) fn summary(&self) -> DeviceSummary {
        DeviceSummary {
            name: self.name.clone(),
            kind: "processor",
            backend: "native".to_owned(),
            driver: format!("vectors {}", instructions()),
            profile: self.profile.clone(),
            limits: vec![("threads", self.threads as u64)],
            features: Vec::new(),
        }
    }

    /// Does work on the threads, and returns when it is done.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// The name of the widest instructions that are used: `V3` for AVX2, `Neon`, `Scalar`.
fn instructions() -> String {
    let name = format!("{:?}", pulp::Arch::new());
    name.split('(').next().unwrap_or_default().to_owned()
}
