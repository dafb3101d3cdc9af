//! The files of the standard library, parsed once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::elaborate::bundle::Module;
use crate::source::Sources;
use crate::syntax;

/// The files of the standard library that every model sees.
pub(super) const LIBRARY: [(&str, &str); 12] = [
    ("std/activations.nn", include_str!("../../../std/activations.nn")),
    ("std/layers.nn", include_str!("../../../std/layers.nn")),
    ("std/orders.nn", include_str!("../../../std/orders.nn")),
    ("std/resampling.nn", include_str!("../../../std/resampling.nn")),
    ("std/normalizations.nn", include_str!("../../../std/normalizations.nn")),
    ("std/recurrent.nn", include_str!("../../../std/recurrent.nn")),
    ("std/losses.nn", include_str!("../../../std/losses.nn")),
    ("std/metrics.nn", include_str!("../../../std/metrics.nn")),
    ("std/detection.nn", include_str!("../../../std/detection.nn")),
    ("std/optimizers.nn", include_str!("../../../std/optimizers.nn")),
    ("std/schedules.nn", include_str!("../../../std/schedules.nn")),
    ("std/data.nn", include_str!("../../../std/data.nn")),
];

/// The files of the standard library that a model names with `use`.
pub(super) const SHELF: [(&str, &str); 2] = [
    ("std/attention.nn", include_str!("../../../std/attention.nn")),
    ("std/vision.nn", include_str!("../../../std/vision.nn")),
];

/// Path and text of every file of the standard library.
#[must_use]
pub fn library_files() -> Vec<(&'static str, &'static str)> {
    LIBRARY.iter().chain(&SHELF).copied().collect()
}

/// Whether the file of the library at `path` is one that a model names with `use`.
pub(crate) fn shelved(path: &str) -> bool {
    SHELF.iter().any(|(shelved, _)| *shelved == path)
}

/// The file of the shelf that defines `name`, for others to use.
pub(in crate::elaborate) fn shelf_file_of(name: &str) -> Option<&'static str> {
    static FILES: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
        let mut files = BTreeMap::new();
        for (path, text) in SHELF {
            let mut sources = Sources::new();
            let file = sources.add(path, text);
            let module = Module::new(file, syntax::parse(sources.source(file)).value);
            let seen = module.by_name.keys().filter(|name| module.public_item(name).is_some());
            files.extend(seen.map(|name| (name.clone(), path)));
        }
        files
    });
    FILES.get(name).or_else(|| FILES.get(&name.to_lowercase())).copied()
}

/// Whether the library keeps a definition called `name` to itself.
pub(in crate::elaborate) fn is_private_name(name: &str) -> bool {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let mut names = BTreeSet::new();
        for (path, text) in library_files() {
            let mut sources = Sources::new();
            let file = sources.add(path, text);
            let module = Module::new(file, syntax::parse(sources.source(file)).value);
            names.extend(module.by_name.keys().filter(|name| module.public_item(name).is_none()).cloned());
        }
        names
    });
    NAMES.contains(name)
}

/// The files of the standard library that every model sees, in their order.
pub(super) struct Library {
    pub(super) modules: Vec<Module>,
    /// The modules by the names of their items.
    pub(super) names: Arc<BTreeMap<String, usize>>,
}

impl Library {
    pub(super) fn parse() -> Library {
        let mut sources = Sources::new();
        let mut modules = Vec::new();
        let mut names = BTreeMap::new();
        for (path, text) in LIBRARY {
            let file = sources.add(path, text);
            let parsed = syntax::parse(sources.source(file));
            assert!(!parsed.has_errors(), "the standard library can be read: {path}");
            modules.push(Module::new(file, parsed.value));
        }
        for (place, module) in modules.iter().enumerate() {
            for name in module.by_name.keys().filter(|name| module.public_item(name).is_some()) {
                names.entry(name.clone()).or_insert(place);
            }
        }
        Library { modules, names: Arc::new(names) }
    }
}
