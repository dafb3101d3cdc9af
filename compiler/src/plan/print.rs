//! A memory plan as text, for `nnc dump plan` and snapshots.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nnc_runtime::artifact::{Area, Buffer};

use super::{Plan, Storage};
use crate::ir::{Graph, NodeId, TensorType};
use crate::lower::Lowered;

/// The plan: buffers with their sizes, then each kernel with what it reads and writes.
#[must_use]
pub fn print(graph: &Graph, lowered: &Lowered, plan: &Plan, storage: &Storage) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| writeln!(text, "{args}").expect("a string takes text");
    for region in &storage.regions {
        line(format_args!("region {:<14} {:>12} bytes", region.name, region.bytes));
    }
    line(format_args!("input  {:>27} bytes", plan.input_bytes));
    line(format_args!("output {:>27} bytes", plan.output_bytes));
    for (k, bytes) in plan.arenas.iter().enumerate() {
        line(format_args!("arena {k} {bytes:>26} bytes"));
    }
    if plan.windows.bytes > 0 {
        line(format_args!("window {:>27} bytes", plan.windows.bytes));
    }
    line(format_args!("alive at once at most {:>12} bytes", plan.lower_bound));
    let number: BTreeMap<NodeId, usize> = graph.order().iter().enumerate().map(|(n, &id)| (id, n)).collect();
    for (k, stage) in lowered.stages.iter().enumerate() {
        let launches: usize = stage.work.iter().map(|w| w.schedule.launches.len()).sum();
        let once = if k < lowered.settled { ", once for weights that stay" } else { "" };
        line(format_args!("\nk{k} {} ({launches} dispatches{once})", stage.label));
        for stay in plan.windows.stays.iter().filter(|stay| stay.from == k) {
            let (path, area) = (&storage.tensors[stay.tensor].path, place(storage, stay.area));
            line(format_args!("  loads  {path} into {area} for k{} to k{}", stay.stages.0, stay.stages.1));
        }
        for work in &stage.work {
            for id in work.reads.iter().flatten() {
                line(format_args!(
                    "  reads  %{:<4} {:<24} {}",
                    number[id],
                    stored(graph, *id),
                    place(storage, plan.read_area(lowered.homes.root(*id), k))
                ));
            }
            for (id, into) in work.writes.iter().zip(&work.into) {
                let taken = match plan.in_place.get(id) {
                    _ if id != into => format!("   in %{}", number[into]),
                    Some(operand) => format!("   in place of %{}", number[operand]),
                    None => String::new(),
                };
                let area = place(storage, plan.areas[into]);
                line(format_args!("  writes %{:<4} {:<24} {area}{taken}", number[id], stored(graph, *id)));
            }
        }
    }
    for (from, to) in &plan.copies {
        line(format_args!("\ncopy {} to {}", place(storage, *from), place(storage, *to)));
    }
    text
}

/// The type of a value as it lies in memory.
fn stored(graph: &Graph, id: NodeId) -> String {
    TensorType::new(graph.stored_element(id), graph.ty(id).shape.clone()).to_string()
}

fn place(storage: &Storage, area: Area) -> String {
    let buffer = match area.buffer {
        Buffer::Region(k) => storage.regions[k].name.clone(),
        Buffer::Input => "input".to_owned(),
        Buffer::Output => "output".to_owned(),
        Buffer::Arena(k) => format!("arena {k}"),
        Buffer::Window(k) => format!("window {k}"),
    };
    format!("{buffer} {}..{}", area.offset, area.offset + area.bytes)
}
