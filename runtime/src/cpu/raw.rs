//! One specification on memory of its own, without an artifact: for tests of the executor.

use std::sync::Arc;

use nnc_wgsl::HOST_SLOTS;
use nnc_wgsl::schedule::Spec;

use super::access::{Data, Tensor};
use super::memory::Memory;
use super::product::columns;
use super::step::{Areas, Work};
use super::team::Team;

/// Computes a specification: `reads` and `writes` are the bytes of its slots; where `in_place` pairs a read with a write,
/// the read lies in the memory of the write.
///
/// # Errors
/// If the specification is malformed, or touches more than it is given.
pub fn run(
    spec: &Spec,
    reads: &[Vec<u8>],
    writes: &mut [Vec<u8>],
    host: &[u32; HOST_SLOTS],
    in_place: &[(usize, usize)],
) -> Result<(), String> {
    let touched = spec.touched()?;
    let memories: Vec<Arc<Memory>> = reads
        .iter()
        .chain(&*writes)
        .map(|bytes| {
            let memory = Memory::new(bytes.len() as u64);
            memory.write(0, bytes);
            Arc::new(memory)
        })
        .collect();
    let place =
        |slot: usize| in_place.iter().find(|(read, _)| *read == slot).map_or(slot, |(_, w)| reads.len() + w);
    let tensor = |memory: usize| Tensor { memory, begin: 0 };
    let places: Vec<Option<Tensor>> = touched
        .reads
        .iter()
        .enumerate()
        .map(|(slot, touched)| touched.map(|_| tensor(place(slot))))
        .collect();
    let results: Vec<Tensor> = (0..writes.len()).map(|slot| tensor(reads.len() + slot)).collect();
    let stretches = touched.reads.iter().zip(&places).filter_map(|(touched, place)| touched.zip(*place));
    for (stretch, place) in stretches.chain(touched.writes.iter().copied().zip(results.iter().copied())) {
        if memories[place.memory].bytes() < stretch.bytes() {
            return Err(format!("{stretch:?} is more than {:?}", memories[place.memory]));
        }
    }
    let work = Work::new(spec, &Areas { reads: &places, writes: &results });
    let needs = work.needs(columns(pulp::Arch::new()));
    let team = Team::new(rayon::current_num_threads(), needs);
    let data = Data { memories: &memories, host };
    work.run(&team, data, &Memory::new(4 * needs.shared as u64));
    for (slot, bytes) in writes.iter_mut().enumerate() {
        memories[reads.len() + slot].read(0, bytes);
    }
    Ok(())
}
