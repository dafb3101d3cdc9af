//! Whether a device's limits allow a network, said before anything is allocated.

use super::device::Device;
use super::program::HOST_BYTES;
use crate::artifact::{Area, Artifact, Bound, Buffer, Dispatch, Program, Stored, StoredKind};
use crate::session::{DeviceError, place};

/// Compares every buffer and every binding with the device; `arenas` and `windows` are the sizes of those in bytes.
///
/// # Errors
/// The first that is too large, by the name of the tensor or the region and the line of the model.
pub(super) fn check(
    device: &Device,
    artifact: &Artifact,
    programs: &[&Program],
    arenas: &[u64],
    windows: &[u64],
) -> Result<(), DeviceError> {
    let over = |what: String, needed: u64, allowed: u64| {
        let adapter = device.name().to_owned();
        Err(DeviceError::OverLimit { what: format!("{what}, in bytes,"), needed, allowed, adapter })
    };
    let limits = device.device.limits();
    let binding = limits.max_storage_buffer_binding_size;
    let dispatches = programs.iter().flat_map(|program| &program.dispatches);
    let bound = dispatches.flat_map(|dispatch| dispatch.bindings.iter().map(move |bound| (dispatch, bound)));
    let too_large = bound.filter_map(|(dispatch, bound)| match bound {
        Bound::Area(area) if area.bytes > binding => Some((dispatch, *area)),
        Bound::Area(_) | Bound::Host => None,
    });
    // The largest weight is what the model's author can name; moments and values follow from it.
    let is_weight = |tensor: &Stored| matches!(tensor.kind, StoredKind::Weight | StoredKind::State);
    let rank = |area: &Area| (stored(artifact, area).is_some_and(is_weight), area.bytes);
    if let Some((dispatch, area)) = too_large.rev().max_by_key(|(_, area)| rank(area)) {
        let what = name(artifact, dispatch, &area);
        let line = place(dispatch.origin.as_ref());
        return over(format!("{what} in `{}` at {line}", dispatch.label), area.bytes, binding);
    }
    let resident = artifact.regions.iter().zip(artifact.resident(programs)).filter(|(_, resident)| *resident);
    let regions = resident.map(|(region, _)| region).map(|r| (format!("the region `{}`", r.name), r.bytes));
    let arenas = (0..).zip(arenas).map(|(i, bytes): (usize, _)| (format!("the arena {i}"), *bytes));
    let inputs = programs.iter().map(|p| ("the input".to_owned(), p.input_bytes + HOST_BYTES));
    let outputs = programs.iter().map(|p| ("the output".to_owned(), p.output_bytes));
    let windows = windows.iter().map(|bytes| ("the window of the weights".to_owned(), *bytes));
    let mut buffers = regions.chain(arenas).chain(windows).chain(inputs).chain(outputs);
    match buffers.find(|(_, bytes)| *bytes > limits.max_buffer_size) {
        Some((what, bytes)) => over(what, bytes, limits.max_buffer_size),
        None => Ok(()),
    }
}

/// The stored tensor that fills the area.
fn stored<'a>(artifact: &'a Artifact, area: &Area) -> Option<&'a Stored> {
    let Buffer::Region(region) = area.buffer else { return None };
    artifact.tensors.iter().find(|t| {
        let bytes = t.element.bytes(t.shape.iter().product()) as u64;
        let fills = bytes.next_multiple_of(16) == area.bytes.next_multiple_of(16);
        t.region == region && t.offset == area.offset && fills
    })
}

/// The stored tensor that fills the area, else the value that is written there, else the memory it lies in.
fn name(artifact: &Artifact, dispatch: &Dispatch, area: &Area) -> String {
    if let Some(tensor) = stored(artifact, area) {
        return format!("`{}`", tensor.path);
    }
    if let Some(written) = dispatch.writes.iter().find(|written| written.area == *area) {
        return format!("`{}`", written.what);
    }
    match area.buffer {
        Buffer::Region(region) => format!("the region `{}`", artifact.regions[region].name),
        Buffer::Input => "an input".to_owned(),
        Buffer::Output => "an output".to_owned(),
        Buffer::Arena(_) => "an operand".to_owned(),
        Buffer::Window(_) => "a weight".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn what_is_too_large_is_named_before_it_is_allocated() {
        let Some(device) = crate::gpu::test_device() else { return };
        let limits = device.device.limits();
        let huge = (limits.max_storage_buffer_binding_size + 256).next_multiple_of(256);
        let message = |artifact: &Artifact| {
            let programs: Vec<&Program> = artifact.programs.iter().collect();
            check(&device, artifact, &programs, &[512], &[]).unwrap_err().to_string()
        };
        let mut artifact = example::linear();
        artifact.regions[0].bytes = huge;
        artifact.tensors[0].shape = vec![huge as usize / 4];
        if let Bound::Area(area) = &mut artifact.programs[0].dispatches[0].bindings[1] {
            area.bytes = huge;
        }
        let found = message(&artifact);
        assert!(found.contains("`w` in `predict  x, w -> y` at linear.nn:1:3"), "{found}");
        assert!(found.contains(&huge.to_string()) && found.contains(device.name()), "{found}");

        let mut artifact = example::linear();
        artifact.regions[2].bytes = (limits.max_buffer_size + 1).next_multiple_of(256);
        assert!(message(&artifact).contains("the region `momentum`, in bytes,"), "{}", message(&artifact));
    }
}
