//! Snapshots of what the models become: graphs before and after the passes, plans, and the text of every kernel.
//!
//! They say nothing about right or wrong (the laws do); they show in review what a change of the compiler changes.

use std::fmt::Write as _;
use std::sync::Arc;

use nnc::compile::{Compiled, Step, compile_observed};
use nnc::elaborate::load;
use nnc::source::NoFiles;
use nnc_runtime::artifact::Role;
use nnc_tests::workspace;
use nnc_wgsl::Profile;

/// Compiles a model of `models/` and collects its training graph after each step that is shown.
fn compiled(model: &str, profile: &str) -> (Compiled, String, String) {
    let path = workspace::root().join("models").join(model);
    let text = std::fs::read_to_string(&path).expect("the model is in the repository");
    let bundle = load(model, &text, &[], &NoFiles);
    assert!(!bundle.has_errors(), "{model} has errors");
    let profile = Profile::named(profile).expect("the profile exists");
    let request = nnc::Request::new(profile, &[Role::Train]);
    let (mut elaborated, mut optimized) = (String::new(), String::new());
    let bundle = Arc::new(bundle.value);
    let checked = compile_observed(&bundle, &request, |_, step, graph| match step {
        Step::Elaborated => elaborated = nnc::ir::print(graph),
        Step::Optimized(_) => optimized = nnc::ir::print(graph),
        _ => {}
    });
    (checked.value.expect("the model compiles"), elaborated, optimized)
}

fn kernels(compiled: &Compiled) -> String {
    let mut text = String::new();
    for kernel in &compiled.artifact.kernels {
        writeln!(text, "// {} {:?}\n{}", kernel.name, kernel.workgroup, kernel.wgsl)
            .expect("a string takes text");
    }
    text
}

fn plan(compiled: &Compiled) -> String {
    let built = &compiled.programs[0];
    nnc::plan::print(&built.graph, &built.lowered, &built.plan, &compiled.storage)
}

#[test]
fn the_digits_network() {
    let (webgpu, elaborated, optimized) = compiled("mnist.nn", "webgpu-default");
    insta::assert_snapshot!("mnist_elaborated", elaborated);
    insta::assert_snapshot!("mnist_optimized_webgpu", optimized);
    insta::assert_snapshot!("mnist_plan_webgpu", plan(&webgpu));
    insta::assert_snapshot!("mnist_kernels_webgpu", kernels(&webgpu));
}

#[test]
fn the_digits_network_on_other_devices() {
    for profile in ["apple-m1", "nvidia-hopper", "lavapipe"] {
        let (built, _, _) = compiled("mnist.nn", profile);
        insta::assert_snapshot!(format!("mnist_plan_{profile}"), plan(&built));
    }
}
