//! `nnc devices`: the devices of this machine, best first.

use nnc_runtime::session::devices;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object for each device on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    for device in devices() {
        if arguments.json {
            let limits: Map<String, Value> =
                device.limits.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let line = json!({
                "name": device.name, "kind": device.kind, "backend": device.backend,
                "driver": device.driver, "profile": device.profile, "limits": limits,
                "features": device.features,
            });
            output::line(&line.to_string());
            continue;
        }
        output::line(&device.name);
        output::line(&format!("  {}, {}, driver {}", device.kind, device.backend, device.driver));
        output::line(&format!("  profile {}", device.profile.name));
        for (name, value) in &device.limits {
            output::line(&format!("  {name}: {value}"));
        }
        output::line(&format!("  features: {}", device.features.join(", ")));
    }
    Ok(())
}
