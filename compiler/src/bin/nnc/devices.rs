//! `nnc devices`: the adapters of this machine.

use nnc_runtime::gpu::adapters;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object for each adapter on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let adapters = adapters();
    if adapters.is_empty() {
        output::note("no adapter was found; on Linux `mesa-vulkan-drivers` is a software one");
    }
    for adapter in adapters {
        if arguments.json {
            let limits: Map<String, Value> =
                adapter.limits.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let line = json!({
                "name": adapter.name, "kind": adapter.kind, "backend": adapter.backend,
                "driver": adapter.driver, "profile": adapter.profile, "limits": limits,
                "features": adapter.features,
            });
            output::line(&line.to_string());
            continue;
        }
        output::line(&adapter.name);
        output::line(&format!("  {}, {}, driver {}", adapter.kind, adapter.backend, adapter.driver));
        output::line(&format!("  profile {}", adapter.profile.name));
        for (name, value) in &adapter.limits {
            output::line(&format!("  {name}: {value}"));
        }
        output::line(&format!("  features: {}", adapter.features.join(", ")));
    }
    Ok(())
}
