//! The artifact: everything a compiled network is, as plain data.
//!
//! An artifact holds the text of every kernel, one [`Program`] for each use of the network (a training step,
//! evaluation, inference, gradients), the persistent memory they share, and what the training loop needs to
//! know. It is written by the compiler and read by [`crate::Session`]; reading one back needs no compiler and
//! no device. On disk it is a header, JSON and the bytes of given values; see [`crate::format`].

mod data;
mod dispatch;
mod program;
mod step;
mod stored;
mod training;

use std::sync::Arc;

use nnc_wgsl::schedule::Spec;
use nnc_wgsl::{Kernel, Profile};
use serde::{Deserialize, Serialize};

pub use data::{Argument, Data, Field, Part};
pub use dispatch::{Area, Bound, Buffer, Dispatch, Location, Requirement, Written};
pub use program::{
    HALTED, HostScalar, HostSymbol, LOSS_SCALE, Load, Port, Program, Role, SKIPPED, weight_of,
};
pub use step::Step;
pub use stored::{Init, Region, Stored, StoredKind, average_of, averaged};
pub use training::{HostBinary, HostExpr, Meaning, Save, Training};

/// A compiled network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// The version of the compiler that wrote it.
    pub compiler: String,
    /// The name of the model.
    pub model: String,
    /// The kind of device it was compiled for.
    pub profile: Profile,
    /// Every distinct kernel.
    pub kernels: Vec<Kernel>,
    /// Every distinct specification of what kernels compute, for executors that have none.
    pub works: Vec<Spec>,
    /// Memory that outlives a step: weights, states, optimizer moments. Zero where no tensor says otherwise:
    /// memory that no tensor names is cleared when a session is initialized and is part of no checkpoint.
    pub regions: Vec<Region>,
    /// The named tensors in the regions.
    pub tensors: Vec<Stored>,
    /// The uses of the network, at most one of each role.
    pub programs: Vec<Program>,
    /// How it is trained, if the file says so.
    pub training: Option<Training>,
    /// First values that were given as numbers, as they are stored, one after another. In a file they stand behind the
    /// JSON.
    #[serde(skip)]
    pub values: Arc<Vec<u8>>,
}

impl Artifact {
    /// Gives the tensor at `path` these first values: row-major, little-endian, whole words. False if there is no such
    /// tensor, or it has another size.
    pub fn give(&mut self, path: &str, bytes: &[u8]) -> bool {
        let tensor = self.tensors.iter_mut().find(|t| t.path == path);
        let Some(tensor) = tensor.filter(|t| t.element.bytes(t.shape.iter().product()) == bytes.len()) else {
            return false;
        };
        let values = Arc::make_mut(&mut self.values);
        tensor.init = Init::Given { offset: values.len() as u64 };
        values.extend(bytes);
        true
    }

    /// Which regions are on the device while these programs are used: all of them, or where a program loads weights
    /// those that the programs bind.
    #[must_use]
    pub fn resident(&self, programs: &[&Program]) -> Vec<bool> {
        if programs.iter().all(|program| program.loads.is_empty()) {
            return vec![true; self.regions.len()];
        }
        let mut resident = vec![false; self.regions.len()];
        for program in programs {
            let bound = program.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
            let bound = bound.filter_map(|bound| match bound {
                Bound::Area(area) => Some(area),
                Bound::Host => None,
            });
            for area in bound.chain(program.copies.iter().flat_map(|(from, to)| [from, to])) {
                if let Buffer::Region(region) = area.buffer {
                    resident[region] = true;
                }
            }
        }
        resident
    }

    /// The program of this role, if there is one.
    #[must_use]
    pub fn program(&self, role: Role) -> Option<&Program> {
        self.programs.iter().find(|p| p.role == role)
    }
}
