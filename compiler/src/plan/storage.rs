//! Memory that outlives a step: which region holds which stored tensor, for all programs of an artifact.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Init, Region, Stored, StoredKind};

use super::windows::comes_and_goes;
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

/// The region of the weights that programs of use load, as far as they are in no flat region.
const LOADED: &str = "loaded";

impl Storage {
    /// Lays out flat regions and, in a region `states`, every stored tensor that is in none of them. Where weights are
    /// loaded, they lie `apart` from the states that stay.
    #[must_use]
    pub fn new(stored: &[StoredTensor], flat: &[FlatRegion], apart: bool) -> Storage {
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
        if apart {
            storage.add_the_rest(LOADED, stored.iter().filter(|tensor| comes_and_goes(tensor.kind)));
        }
        storage.add_the_rest("states", stored.iter());
        storage
    }

    /// Lays out, in a region of this name, those of the tensors that have no place yet.
    fn add_the_rest<'a>(&mut self, name: &str, stored: impl Iterator<Item = &'a StoredTensor>) {
        let mut end = 0;
        let region = self.regions.len();
        for tensor in stored {
            if !self.by_path.contains_key(&tensor.path) {
                self.add_tensor(tensor, region, end);
                end += (tensor.ty.bytes() as u64).next_multiple_of(ALIGNMENT);
            }
        }
        if end > 0 {
            self.add_region(name, end);
        }
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

    /// The place of the stored tensor of this path among all.
    #[must_use]
    pub fn place(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
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
