//! Every kernel of a program against its meaning: on a device, kernel by kernel.
//!
//! The program runs one kernel at a time. What a kernel is about to read is read back first, the meaning of the
//! kernel's values is computed from that in f64, and compared with what the device wrote. An error therefore
//! belongs to the kernel that made it and to no other.

mod meaning;

use std::collections::{BTreeMap, BTreeSet};

use nnc_runtime::artifact::{Area, Artifact, Location, Role};
use nnc_runtime::{Batch, Clock, Device, DeviceError, Session};
use nnc_wgsl::{Element, HALF_MAX, half_bits, half_value};

use crate::ir::{Environment, Graph, Kind, NodeId, Source, Tensor, evaluate_node};
use crate::lower::{Lowered, Stage, is_in_memory};
use crate::passes::Anchor;
use crate::plan::Plan;

pub use meaning::{Changed, Meaning, SAME};

/// How far a kernel may be from its meaning, relative to the largest magnitude of the value, of what it is summed
/// from where that cancels, or 1e-3 where all of it is smaller: f32 sums of a few thousand terms of one magnitude
/// stay a tenth below.
pub const TOLERANCE: f64 = 1e-4;

const SMALL: f64 = 1e-3;

/// A program together with what it was made from.
#[derive(Clone, Debug)]
pub struct Verifiable<'a> {
    /// The graph, with clusters.
    pub graph: &'a Graph,
    /// Its kernels.
    pub lowered: &'a Lowered,
    /// Its memory.
    pub plan: &'a Plan,
}

/// One value that a kernel wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The kernel, by its number in `nnc dump plan`.
    pub stage: usize,
    /// The kernel, for people.
    pub label: String,
    /// The operator whose value this is.
    pub operator: String,
    /// Where it stands in the text.
    pub origin: Option<Location>,
    /// The largest difference, relative to the largest magnitude of the value.
    pub error: f64,
}

impl Finding {
    /// Whether the device computed the meaning.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.error <= TOLERANCE
    }
}

/// Runs the program of this role kernel by kernel and measures every value it writes.
///
/// # Errors
/// If the device is lost or lacks the program.
pub fn verify(
    session: &mut Session,
    artifact: &Artifact,
    role: Role,
    program: &Verifiable<'_>,
    batch: &Batch,
    clock: &Clock,
) -> Result<Vec<Finding>, DeviceError> {
    session.prepare(role, batch, clock)?;
    let dispatches = artifact.program(role).map_or(&[][..], |p| &p.dispatches);
    let environment = environment(clock);
    let mut findings = Vec::new();
    let mut parts: BTreeMap<NodeId, Option<Tensor>> =
        moved(program).into_iter().map(|id| (id, None)).collect();
    let mut next = 0;
    for (number, stage) in program.lowered.stages.iter().enumerate() {
        let mut known: BTreeMap<NodeId, Tensor> = BTreeMap::new();
        let is_move = is_move(stage);
        for &id in stage.work.iter().filter(|_| !is_move).flat_map(|work| work.reads.iter().flatten()) {
            let value = read(session, role, program, id)?;
            known.insert(id, value);
        }
        let origin = dispatches.get(next).and_then(|d| d.origin.clone());
        for work in &stage.work {
            for _ in &work.schedule.launches {
                session.dispatch(role, next)?;
                next += 1;
            }
        }
        for work in &stage.work {
            for &id in &work.writes {
                if is_move {
                    add_parts(session, role, program, id, &parts, &mut known)?;
                }
                let of = |known: &BTreeMap<NodeId, Tensor>| {
                    meaning(program.graph, id, &mut known.clone(), &environment)
                };
                let expected = of(&known);
                let found = read(session, role, program, id)?;
                if let Some(part) = parts.get_mut(&id) {
                    *part = Some(found.clone());
                }
                let memory = program.lowered.homes.memory(id).base;
                let narrow = program.graph.stored_element(memory) == Element::F16;
                let mut error = distance(&found, &expected, SMALL, narrow);
                if error > TOLERANCE {
                    let least = conditioned(&known, &expected, of).max(SMALL);
                    error = distance(&found, &expected, least, narrow);
                }
                findings.push(Finding {
                    stage: number,
                    label: stage.label.clone(),
                    operator: program.graph.operator(id).map(|op| op.label()).unwrap_or_default(),
                    origin: origin.clone(),
                    error,
                });
            }
        }
    }
    session.copies(role)?;
    Ok(findings)
}

/// Is this stage a concat whose parts are written in place, but for those that it copies?
fn is_move(stage: &Stage) -> bool {
    matches!(stage.cluster.anchor, Anchor::Move(_))
}

/// What the moves of a program take their parts from.
fn moved(program: &Verifiable<'_>) -> BTreeSet<NodeId> {
    let stages = program.lowered.stages.iter().filter(|stage| is_move(stage));
    let moves = stages.flat_map(|stage| &stage.work).flat_map(|work| &work.writes);
    let operands = moves.flat_map(|&id| program.graph.operands(id));
    operands.map(|operand| program.lowered.layouts[&operand].base).collect()
}

/// The operands of a move that lie in memory: as their kernels left them, since a part that is written in place may
/// be nowhere else by now, or read back.
fn add_parts(
    session: &Session,
    role: Role,
    program: &Verifiable<'_>,
    id: NodeId,
    parts: &BTreeMap<NodeId, Option<Tensor>>,
    known: &mut BTreeMap<NodeId, Tensor>,
) -> Result<(), DeviceError> {
    for operand in program.graph.operands(id) {
        let base = program.lowered.layouts[&operand].base;
        if is_in_memory(program.graph, base) && !known.contains_key(&base) {
            let value = match parts.get(&base) {
                Some(Some(part)) => part.clone(),
                _ => read(session, role, program, base)?,
            };
            known.insert(base, value);
        }
    }
    Ok(())
}

fn environment(clock: &Clock) -> Environment {
    use nnc_runtime::artifact::HostSymbol;
    #[allow(clippy::cast_precision_loss)]
    let symbols = [
        (HostSymbol::Step, clock.step as f64),
        (HostSymbol::Epoch, clock.epoch as f64),
        (HostSymbol::Examples, clock.examples as f64),
        (HostSymbol::StepsPerEpoch, clock.steps_per_epoch as f64),
        (HostSymbol::TotalSteps, clock.total_steps as f64),
    ];
    #[allow(clippy::cast_possible_truncation)]
    let seed = clock.seed as u32;
    Environment { symbols: symbols.into(), seed, ..Environment::default() }
}

/// The meaning of a value from those that are known.
fn meaning(
    graph: &Graph,
    id: NodeId,
    known: &mut BTreeMap<NodeId, Tensor>,
    environment: &Environment,
) -> Tensor {
    if let Some(value) = known.get(&id) {
        return value.clone();
    }
    let operands = graph.operands(id);
    for &operand in &operands {
        let value = meaning(graph, operand, known, environment);
        known.insert(operand, value);
    }
    let operands: Vec<&Tensor> = operands.iter().map(|v| &known[v]).collect();
    if let Kind::Source(source @ (Source::Input { .. } | Source::Stored(_) | Source::Region(_))) =
        &graph.node(id).kind
    {
        panic!("a kernel that needs {source:?} reads it");
    }
    evaluate_node(graph, id, &operands, environment)
}

fn read(session: &Session, role: Role, program: &Verifiable<'_>, id: NodeId) -> Result<Tensor, DeviceError> {
    debug_assert!(is_in_memory(program.graph, id), "only values in memory are read back");
    let ty = program.graph.ty(id);
    let layout = program.lowered.homes.memory(id);
    let whole = program.graph.ty(layout.base);
    let element = program.graph.stored_element(layout.base);
    let area = program.plan.areas[&layout.base];
    let bytes = (program.graph.stored_bytes(layout.base) as u64).next_multiple_of(4).max(4);
    let bytes = session.read_area(role, &Area { bytes, ..area })?;
    if layout.base == id {
        return Ok(decode(&bytes, element, &ty.shape));
    }
    let whole = decode(&bytes, element, &[whole.size()]);
    Ok(Tensor::from_fn(ty.shape.clone(), |at| {
        let steps = at.iter().zip(&layout.strides).map(|(&c, stride)| i64::try_from(c).unwrap_or(0) * stride);
        let place = layout.offset + steps.sum::<i64>();
        whole.data()[usize::try_from(place).expect("a part lies inside its whole")]
    }))
}

/// A tensor from its bytes as the device holds them.
#[must_use]
pub fn decode(bytes: &[u8], element: Element, shape: &[usize]) -> Tensor {
    let size: usize = shape.iter().product();
    let words = bytes.as_chunks::<4>().0.iter();
    let data = match element {
        Element::F32 => words.take(size).map(|w| f64::from(f32::from_le_bytes(*w))).collect(),
        Element::F16 => {
            let halves = bytes.as_chunks::<2>().0.iter().take(size);
            halves.map(|half| half_value(u16::from_le_bytes(*half))).collect()
        }
        Element::I32 => words.take(size).map(|w| f64::from(i32::from_le_bytes(*w))).collect(),
        Element::Bool => words.take(size).map(|w| f64::from(u8::from(u32::from_le_bytes(*w) != 0))).collect(),
        Element::U8 => bytes.iter().take(size).map(|&b| f64::from(b)).collect(),
    };
    Tensor::new(shape, data)
}

/// A tensor as the device holds it, without padding to whole words.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn encode(tensor: &Tensor, element: Element) -> Vec<u8> {
    let numbers = tensor.data().iter();
    match element {
        Element::F32 => numbers.flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        Element::F16 => numbers.flat_map(|&v| half_bits(v).to_le_bytes()).collect(),
        Element::I32 => numbers.flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        Element::Bool => numbers.flat_map(|&v| u32::from(v != 0.0).to_le_bytes()).collect(),
        Element::U8 => numbers.map(|&v| v as u8).collect(),
    }
}

/// The largest difference between the device's f32 and the meaning, relative to the largest magnitude of the meaning
/// or `least`; infinite where they are not finite in the same way. What rounding to half precision alone makes of the
/// meaning is no difference where the value is `narrow`.
fn distance(found: &Tensor, meaning: &Tensor, least: f64, narrow: bool) -> f64 {
    let scale = meaning.data().iter().fold(least, |m, v| if v.is_finite() { m.max(v.abs()) } else { m });
    let pairs = found.data().iter().zip(meaning.data());
    pairs.fold(0.0, |worst: f64, (&f, &m)| {
        #[allow(clippy::cast_possible_truncation)]
        let rounded = f64::from(m as f32);
        let overflows = narrow && f.is_infinite() && m.abs() > 0.999 * HALF_MAX && f.signum() == m.signum();
        let error = if overflows || f == rounded || (f.is_nan() && m.is_nan()) {
            0.0
        } else if f.is_finite() && rounded.is_finite() {
            ((f - m).abs() - if narrow { half_step(m) } else { 0.0 }).max(0.0) / scale
        } else {
            f64::INFINITY
        };
        worst.max(error)
    })
}

/// How far a number may be from its nearest half; devices may take what is below the smallest normal one for 0.
fn half_step(value: f64) -> f64 {
    let size = value.abs();
    if size < f64::powi(2.0, -14) { size.max(f64::powi(2.0, -25)) } else { size * f64::powi(2.0, -11) }
}

/// The magnitude of what a value is computed from, for values in which it cancels: how much the value moves when
/// each operand moves by a small part of itself, over that part. Elements that jump instead are left out.
fn conditioned(
    known: &BTreeMap<NodeId, Tensor>,
    expected: &Tensor,
    of: impl Fn(&BTreeMap<NodeId, Tensor>) -> Tensor,
) -> f64 {
    let part = f64::powi(2.0, -20);
    let moved = |part: f64| {
        let mut sign = 0x9e37_79b9_u32;
        let mut near = known.clone();
        for value in near.values_mut().flat_map(|tensor| tensor.data_mut()) {
            sign = sign.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value *= if sign >> 31 == 0 { 1.0 + part } else { 1.0 - part };
        }
        of(&near)
    };
    let (whole, half) = (moved(part), moved(0.5 * part));
    let steps = whole.data().iter().zip(half.data()).zip(expected.data());
    let smooth =
        steps.map(|((w, h), e)| (w - e, 2.0 * (h - e))).filter(|(w, h)| (w - h).abs() <= 0.1 * w.abs());
    smooth.fold(0.0, |most, (w, _)| most.max(w.abs() / part))
}

/// Opens a device session for an artifact with every tensor at its first value.
///
/// # Errors
/// If the device cannot hold the artifact.
pub fn open(
    artifact: &Artifact,
    device: &Device,
    seed: u64,
) -> Result<Session, nnc_runtime::session::OpenError> {
    let mut session = Session::open(artifact, device)?;
    session.initialize(seed)?;
    Ok(session)
}
