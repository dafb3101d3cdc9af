//! The memory plan of a program: where every value lies, decided before anything runs.
//!
//! Stored tensors have their places in regions ([`Storage`]). The next value of a stored tensor is written straight
//! over the present one where no later kernel reads that; else it is copied at the end. Gradients of weights are
//! written into their region. Results lie in the output buffer. Everything else is packed into arenas by lifetime,
//! after elementwise kernels have taken over the memory of operands that they are the last to read.

mod arena;
mod lifetimes;
mod next_values;
mod print;
mod storage;
mod windows;

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Area, Buffer, Port, Role};
use nnc_wgsl::{Profile, Slot};

use crate::ir::{Graph, Kind, NodeId, Source};
use crate::lower::{Lowered, Stage};
use crate::ops::Lowering;

pub use arena::{Request, Spot, lower_bound, pack};
pub use print::print;
pub use storage::{ALIGNMENT, Storage};
pub use windows::{Reading, Stay, Windows, least, readings};

/// Where everything of a program lies.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The memory of every value that has some.
    pub areas: BTreeMap<NodeId, Area>,
    /// The scratch memory of each stage's works: `scratch[stage][work][i]`.
    pub scratch: Vec<Vec<Vec<Area>>>,
    /// The sizes of the arenas, in bytes.
    pub arenas: Vec<u64>,
    /// The most bytes of arena alive at one time.
    pub lower_bound: u64,
    /// The first and last stage of each arena value.
    pub alive: BTreeMap<NodeId, (usize, usize)>,
    /// Values that took the memory of an operand: value, operand.
    pub in_place: BTreeMap<NodeId, NodeId>,
    /// Next values that are copied over stored tensors after the last kernel.
    pub copies: Vec<(Area, Area)>,
    /// The program's inputs.
    pub inputs: Vec<Port>,
    /// The program's outputs.
    pub outputs: Vec<Port>,
    /// The size of the input buffer, in bytes.
    pub input_bytes: u64,
    /// The size of the output buffer, in bytes.
    pub output_bytes: u64,
    /// The weights that come and go; none where all stay in their regions.
    pub windows: Windows,
}

/// Plans a program. `storage` is completed with the region of the gradients.
#[must_use]
pub fn plan(graph: &Graph, lowered: &Lowered, storage: &mut Storage, role: Role, profile: &Profile) -> Plan {
    let mut planner = Planner {
        graph,
        lowered,
        plan: Plan {
            areas: BTreeMap::new(),
            scratch: Vec::new(),
            arenas: Vec::new(),
            lower_bound: 0,
            alive: BTreeMap::new(),
            in_place: BTreeMap::new(),
            copies: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            input_bytes: 0,
            output_bytes: 0,
            windows: Windows::default(),
        },
    };
    planner.place_sources(storage);
    planner.place_results(role);
    planner.place_packs(storage);
    let late = planner.place_next_values();
    planner.place_the_rest(profile);
    planner.copy_late(&late);
    planner.plan
}

struct Planner<'a> {
    graph: &'a Graph,
    lowered: &'a Lowered,
    plan: Plan,
}

impl Planner<'_> {
    fn bytes(&self, id: NodeId) -> u64 {
        (self.graph.stored_bytes(id) as u64).next_multiple_of(16).max(16)
    }

    fn place_sources(&mut self, storage: &Storage) {
        for id in self.graph.order() {
            let Kind::Source(source) = &self.graph.node(id).kind else { continue };
            let bytes = self.bytes(id);
            let area = match source {
                Source::Input { name, batched } => {
                    let offset = self.plan.input_bytes;
                    self.plan.input_bytes += bytes.next_multiple_of(ALIGNMENT);
                    let ty = self.graph.ty(id);
                    self.plan.inputs.push(Port {
                        name: name.clone(),
                        element: ty.element,
                        shape: ty.shape.clone(),
                        batched: *batched,
                        offset,
                    });
                    Area { buffer: Buffer::Input, offset, bytes }
                }
                Source::Stored(stored) => {
                    let path = &self.graph.stored[stored.0].path;
                    let tensor = storage.tensor(path).expect("every stored tensor has a place");
                    Area { buffer: Buffer::Region(tensor.region), offset: tensor.offset, bytes }
                }
                Source::Region(name) => {
                    let region = storage.region(name).expect("every region that is read exists");
                    Area { buffer: Buffer::Region(region), offset: 0, bytes }
                }
                Source::Host { .. } | Source::Constant(_) | Source::Random { .. } => continue,
            };
            self.plan.areas.insert(id, area);
        }
    }

    fn place_results(&mut self, role: Role) {
        for (name, id) in &self.graph.results {
            let (offset, bytes) = (self.plan.output_bytes, self.bytes(*id));
            self.plan.output_bytes += bytes.next_multiple_of(ALIGNMENT);
            self.plan.areas.insert(*id, Area { buffer: Buffer::Output, offset, bytes });
            let ty = self.graph.ty(*id);
            let packed = self.graph.regions.iter().find(|r| role == Role::Gradient && r.name == *name);
            match packed {
                Some(region) => {
                    for (stored, at) in &region.members {
                        let tensor = &self.graph.stored[stored.0];
                        self.plan.outputs.push(Port {
                            name: tensor.path.clone(),
                            element: tensor.ty.element,
                            shape: tensor.ty.shape.clone(),
                            batched: false,
                            offset: offset + *at as u64 * 4,
                        });
                    }
                }
                None => self.plan.outputs.push(Port {
                    name: name.clone(),
                    element: ty.element,
                    shape: ty.shape.clone(),
                    batched: self.graph.batched.contains(name),
                    offset,
                }),
            }
        }
    }

    /// A pack that is no result lies in a region of its own, whose gaps stay zero.
    fn place_packs(&mut self, storage: &mut Storage) {
        let mut packs = 0;
        for id in self.graph.order() {
            let pack = matches!(self.graph.operator(id).map(|op| op.lower()), Some(Lowering::Pack { .. }));
            if !pack {
                continue;
            }
            if !self.plan.areas.contains_key(&id) {
                packs += 1;
                let name = if packs == 1 { "gradients".to_owned() } else { format!("gradients.{packs}") };
                let bytes = self.bytes(id);
                let region = storage.region(&name).unwrap_or_else(|| storage.add_region(&name, bytes));
                self.plan.areas.insert(id, Area { buffer: Buffer::Region(region), offset: 0, bytes });
            }
            let whole = self.plan.areas[&id];
            for (part, (pack, offset)) in &self.lowered.parts {
                if *pack == id {
                    let offset = whole.offset + *offset as u64 * 4;
                    self.plan
                        .areas
                        .insert(*part, Area { buffer: whole.buffer, offset, bytes: self.bytes(*part) });
                }
            }
        }
    }

    /// The values whose memory a stage reads.
    fn reads<'b>(&'b self, stage: &'b Stage) -> impl Iterator<Item = NodeId> + 'b {
        let values = stage.work.iter().flat_map(|work| work.reads.iter().flatten());
        values.map(|id| self.lowered.homes.root(*id))
    }

    fn copy_late(&mut self, late: &[(NodeId, NodeId)]) {
        for (target, value) in late {
            let (from, to) = (self.plan.areas[value], self.plan.areas[target]);
            let bytes = (self.graph.ty(*value).bytes() as u64).next_multiple_of(4);
            self.plan.copies.push((Area { bytes, ..from }, Area { bytes, ..to }));
        }
    }
}

fn overlap(a: Area, b: Area) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
}

impl Plan {
    /// The memory a slot of a work stands for; `None` for the host block.
    ///
    /// # Panics
    /// If the slot stands for a value without memory: our bug.
    #[must_use]
    pub fn area(&self, lowered: &Lowered, stage: usize, work: usize, slot: Slot) -> Option<Area> {
        let of = &lowered.stages[stage].work[work];
        match slot {
            Slot::Read(k) => {
                let value = of.reads[k].expect("a bound read is in memory");
                Some(self.read_area(lowered.homes.root(value), stage))
            }
            Slot::Write(k) => Some(self.areas[&of.into[k]]),
            Slot::Scratch(k) => Some(self.scratch[stage][work][k]),
            Slot::Host => None,
        }
    }

    /// The memory in which a stage reads a value.
    ///
    /// # Panics
    /// If the value has none: our bug.
    #[must_use]
    pub fn read_area(&self, value: NodeId, stage: usize) -> Area {
        self.windows.area(value, stage).unwrap_or_else(|| self.areas[&value])
    }
}
