//! A compiled model as text that is kept beside it: what a change of the model, or of the compiler, changes.
//!
//! The texts depend on the model, its settings and the profile alone: not on the machine, nor on the folder that the
//! command is called in.

use std::fmt::Write as _;

use nnc_runtime::artifact::{Location, Program};

use crate::compile::Compiled;
use crate::plan;

/// A text of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The name of its file: `kernels.wgsl`, `train.plan`, `train.dispatches`, ..
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// The texts of a compiled model: all kernels, then plan and dispatches of each program. Files below `base` are named
/// from there.
#[must_use]
pub fn snapshot(compiled: &Compiled, base: &str) -> Vec<SnapshotFile> {
    let mut files = vec![SnapshotFile { name: "kernels.wgsl".to_owned(), text: kernels(compiled) }];
    for (built, program) in compiled.programs.iter().zip(&compiled.artifact.programs) {
        let plan = plan::print(&built.graph, &built.lowered, &built.plan, &compiled.storage);
        files.push(SnapshotFile { name: format!("{}.plan", program.role), text: plan });
        let dispatches = dispatches(compiled, program, base);
        files.push(SnapshotFile { name: format!("{}.dispatches", program.role), text: dispatches });
    }
    files
}

fn kernels(compiled: &Compiled) -> String {
    let mut text = String::new();
    for (number, kernel) in compiled.artifact.kernels.iter().enumerate() {
        let [x, y, z] = kernel.workgroup;
        let (name, wgsl) = (&kernel.name, kernel.wgsl.trim_end());
        writeln!(text, "// kernel {number}: {name}, {x}x{y}x{z}\n{wgsl}\n").expect("a string takes text");
    }
    text
}

fn dispatches(compiled: &Compiled, program: &Program, base: &str) -> String {
    let mut text = format!("batch {}, {} dispatches\n", program.batch, program.dispatches.len());
    for (number, dispatch) in program.dispatches.iter().enumerate() {
        let [x, y, z] = dispatch.workgroups;
        let kernel = &compiled.artifact.kernels[dispatch.kernel].name;
        let at = dispatch.origin.as_ref().map_or_else(String::new, |origin| place(origin, base));
        writeln!(text, "\n{number} {} in {x}x{y}x{z}  {at}", dispatch.label).expect("a string takes text");
        let params: Vec<String> = dispatch.params.iter().map(u32::to_string).collect();
        writeln!(text, "  kernel {} {kernel} ({})", dispatch.kernel, params.join(" "))
            .expect("a string takes text");
    }
    text
}

fn place(origin: &Location, base: &str) -> String {
    let file =
        origin.file.strip_prefix(base).map_or(origin.file.as_str(), |file| file.trim_start_matches('/'));
    format!("{file}:{}:{}", origin.line, origin.column)
}
