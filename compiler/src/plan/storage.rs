//! Memory that outlives a step: which region holds which stored tensor, for all programs of an artifact.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Init, Region, Stored, StoredKind};

use crate::ir::{FlatRegion, StoredTensor, TensorType};

/// Bytes between places at which a tensor may begin.
pub const ALIGNMENT: u64 = 256;

/// The regions of an artifact and what lies in them.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// The regions.
    pub regions: Vec<Region>,
    /// The stored tensors.
    pub tensors: Vec<Stored>,
    by_path: BTreeMap<String, usize>,
}

impl Storage {
    /// Lays out flat regions and, in a region `states`, every stored tensor that is in none of them.
    #[must_use]
    pub fn new(stored: &[StoredTensor], flat: &[FlatRegion]) -> Storage {
        let mut storage = Storage::default();
        for region in flat {
            let index = storage.add_region(&region.name, region.elements as u64 * 4);
            for (id, offset) in &region.members {
                storage.add_tensor(&stored[id.0], index, *offset as u64 * 4);
            }
            if region.members.is_empty() {
                let moment = StoredTensor {
                    path: region.name.clone(),
                    kind: StoredKind::Optimizer,
                    ty: TensorType::f32([region.elements]),
                    init: Init::Constant(region.fill),
                };
                storage.add_tensor(&moment, index, 0);
            }
        }
        let mut end = 0;
        let states = storage.regions.len();
        for tensor in stored {
            if !storage.by_path.contains_key(&tensor.path) {
                storage.add_tensor(tensor, states, end);
                end += (tensor.ty.bytes() as u64).next_multiple_of(ALIGNMENT);
            }
        }
        if end > 0 {
            storage.add_region("states", end);
        }
        storage
    }

    /// The region of this name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|r| r.name == name)
    }

    /// The stored tensor of this path.
    #[must_use]
    pub fn tensor(&self, path: &str) -> Option<&Stored> {
        self.by_path.get(path).map(|&k| &self.tensors[k])
    }

    /// Adds a region of this many bytes; its number.
    pub fn add_region(&mut self, name: &str, bytes: u64) -> usize {
        self.regions
            .push(Region { name: name.to_owned(), bytes: bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT) });
        self.regions.len() - 1
    }

    /// Adds a tensor in a region, `offset` in bytes.
    pub fn add_tensor(&mut self, tensor: &StoredTensor, region: usize, offset: u64) {
        self.by_path.insert(tensor.path.clone(), self.tensors.len());
        self.tensors.push(Stored {
            path: tensor.path.clone(),
            kind: tensor.kind,
            element: tensor.ty.element,
            shape: tensor.ty.shape.clone(),
            region,
            offset,
            init: tensor.init.clone(),
        });
    }
}
