//! Made-up batches for measuring and checking: every value is one that the data could hold.

use nnc_runtime::Batch;
use nnc_runtime::artifact::{Artifact, Role};
use nnc_wgsl::{Element, random_uniform};

/// A batch for this program: floats in [-1, 1), bytes anywhere, integers in the range of their field (0 where
/// the file gives none).
pub(crate) fn batch(artifact: &Artifact, role: Role) -> Option<Batch> {
    let program = artifact.program(role)?;
    let mut batch = Batch::new(program);
    for (place, port) in (0u32..).zip(&program.inputs) {
        let field = artifact.training.iter().flat_map(|t| &t.data.fields).find(|f| f.name == port.name);
        let (low, high) = field.and_then(|f| f.range).unwrap_or((0, 1));
        let uniform = |i: usize| random_uniform(1, 0, place, i as u32);
        let whole = |i: usize| low + (f64::from(uniform(i)) * (high - low) as f64) as i64;
        let input = batch.input_mut(place as usize);
        match port.element {
            Element::U8 => {
                for (i, byte) in input.iter_mut().enumerate() {
                    *byte = (uniform(i) * 256.0) as u8;
                }
            }
            Element::F32 | Element::F16 | Element::I32 | Element::Bool => {
                for (i, word) in input.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    *word = match port.element {
                        Element::I32 => (whole(i) as i32).to_le_bytes(),
                        Element::Bool => u32::from(uniform(i) < 0.5).to_le_bytes(),
                        Element::F32 | Element::F16 | Element::U8 => (2.0 * uniform(i) - 1.0).to_le_bytes(),
                    };
                }
            }
        }
    }
    Some(batch)
}
