//! Weights that do not all stay on the device: each has a place in a window of limited size from when there is room for
//! it to the last stage that reads it there.
//!
//! Places are given in the order of the stages. A weight goes where the fewest bytes must come again later, and of such
//! places to the one that is free for the longest time, so that it can come long before it is read. Where the window is
//! in pieces, all weights of a stage come anew, side by side; hence a window that holds the weights of each stage is
//! enough.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Area, Buffer, Load, StoredKind};
use nnc_wgsl::Profile;

use super::{ALIGNMENT, Plan, Storage};
use crate::ir::{Graph, Kind, NodeId, Source, StoredId};
use crate::lower::Lowered;

/// The largest buffer that every device has, in bytes.
const BUFFER: u64 = 256 << 20;

/// A weight that stages read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which.
    pub stored: StoredId,
    /// The values that stand for it.
    pub nodes: Vec<NodeId>,
    /// Its size in bytes.
    pub bytes: u64,
    /// The stages that read it, ascending.
    pub stages: Vec<usize>,
}

/// A weight in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Which, by its place in [`Storage::tensors`].
    pub tensor: usize,
    /// Where.
    pub area: Area,
    /// The stage that it comes before: nothing reads what lay there from then on.
    pub from: usize,
    /// The first and the last stage that read it there.
    pub stages: (usize, usize),
}

/// The weights of a program that come and go.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// The size of the window in bytes; 0 where all weights stay.
    pub bytes: u64,
    /// What comes into it, by the stage it comes before, then by the first one that reads it.
    pub stays: Vec<Stay>,
    of: BTreeMap<NodeId, usize>,
}

impl Windows {
    /// Where a stage reads the value, if that comes and goes.
    #[must_use]
    pub fn area(&self, value: NodeId, stage: usize) -> Option<Area> {
        let tensor = *self.of.get(&value)?;
        let reads = |stay: &&Stay| stay.tensor == tensor && stay.stages.0 <= stage && stage <= stay.stages.1;
        self.stays.iter().find(reads).map(|stay| stay.area)
    }

    /// The loads of a program; `first[k]` is the first dispatch of stage `k`.
    #[must_use]
    pub fn loads(&self, first: &[usize]) -> Vec<Load> {
        let load = |stay: &Stay| Load { tensor: stay.tensor, area: stay.area, before: first[stay.from] };
        self.stays.iter().map(load).collect()
    }
}

/// Whether programs of use may load tensors of this kind instead of keeping them.
pub(super) fn comes_and_goes(kind: StoredKind) -> bool {
    matches!(kind, StoredKind::Weight | StoredKind::Average)
}

/// The weights that stages read, as they are stored: not those that the program writes or gives out as they are.
#[must_use]
pub fn readings(graph: &Graph, lowered: &Lowered) -> Vec<Reading> {
    let mut found: BTreeMap<StoredId, Reading> = BTreeMap::new();
    let kept: Vec<NodeId> = graph
        .assignments
        .iter()
        .flat_map(|assignment| [assignment.target, assignment.value])
        .chain(graph.results.iter().map(|(_, id)| *id))
        .collect();
    for (number, stage) in lowered.stages.iter().enumerate() {
        for value in stage.work.iter().flat_map(|work| work.reads.iter().flatten()) {
            let node = lowered.homes.root(*value);
            let Kind::Source(Source::Stored(stored)) = graph.node(node).kind else { continue };
            if !comes_and_goes(graph.stored[stored.0].kind) {
                continue;
            }
            let bytes = (graph.stored_bytes(node) as u64).next_multiple_of(16).max(16);
            let reading = found.entry(stored).or_insert_with(|| Reading {
                stored,
                nodes: Vec::new(),
                bytes,
                stages: Vec::new(),
            });
            if !reading.nodes.contains(&node) {
                reading.nodes.push(node);
            }
            if reading.stages.last() != Some(&number) {
                reading.stages.push(number);
            }
        }
    }
    found.into_values().filter(|reading| !reading.nodes.iter().any(|node| kept.contains(node))).collect()
}

/// The stage whose weights take the most, and how many bytes that is: the least window that will do.
#[must_use]
pub fn least(readings: &[Reading]) -> Option<(usize, u64)> {
    let mut taken: BTreeMap<usize, u64> = BTreeMap::new();
    for reading in readings {
        for stage in &reading.stages {
            *taken.entry(*stage).or_default() += aligned(reading.bytes);
        }
    }
    taken.into_iter().rev().max_by_key(|(_, bytes)| *bytes)
}

impl Plan {
    /// Gives the weights that the program reads places in a window of at most `budget` bytes. Where the weights of one
    /// stage take more, all stay in their regions.
    pub fn load_weights(
        &mut self,
        graph: &Graph,
        lowered: &Lowered,
        storage: &Storage,
        budget: u64,
        profile: &Profile,
    ) {
        let readings = readings(graph, lowered);
        let Some((_, least)) = least(&readings).filter(|(_, least)| *least <= budget) else { return };
        let all: u64 = readings.iter().map(|reading| aligned(reading.bytes)).sum();
        let room = budget.min(BUFFER.max(profile.binding_bytes)).max(least).min(all) / ALIGNMENT * ALIGNMENT;
        let tensor = |reading: &Reading| {
            let path = &graph.stored[reading.stored.0].path;
            storage.place(path).expect("every stored tensor has a place")
        };
        let placed = place(&readings, lowered.stages.len(), room);
        let from = |at: usize| {
            let Placed { start, end, .. } = placed[at];
            let before = placed[..at].iter().filter(|other| other.start < end && start < other.end);
            before.map(|other| other.stages.1 + 1).max().unwrap_or(0)
        };
        let stay = |(at, placed): (usize, &Placed)| Stay {
            tensor: tensor(&readings[placed.reading]),
            area: Area {
                buffer: Buffer::Window(0),
                offset: placed.start,
                bytes: readings[placed.reading].bytes,
            },
            from: from(at),
            stages: placed.stages,
        };
        let mut stays: Vec<Stay> = placed.iter().enumerate().map(stay).collect();
        stays.sort_by_key(|stay| (stay.from, stay.stages, stay.area.offset));
        let of = readings.iter().flat_map(|reading| {
            let place = tensor(reading);
            reading.nodes.iter().map(move |node| (*node, place))
        });
        self.windows = Windows {
            bytes: placed.iter().map(|placed| placed.end).max().unwrap_or(0),
            stays,
            of: of.collect(),
        };
    }
}

/// A range of the window, in bytes, and the first and last stage that read the weight there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    reading: usize,
    start: u64,
    end: u64,
    stages: (usize, usize),
}

/// The stays of all weights, in the order in which they are first read.
fn place(readings: &[Reading], stages: usize, room: u64) -> Vec<Placed> {
    let mut wanted: Vec<Vec<usize>> = vec![Vec::new(); stages];
    for (number, reading) in readings.iter().enumerate() {
        for stage in &reading.stages {
            wanted[*stage].push(number);
        }
    }
    let mut placed: Vec<Placed> = Vec::new();
    let mut there = There::default();
    for (stage, mut wanted) in wanted.into_iter().enumerate() {
        wanted.sort_by_key(|&k| (std::cmp::Reverse(readings[k].bytes), k));
        let mut missing = Vec::new();
        for &k in &wanted {
            match there.held.iter().find(|&&at| placed[at].reading == k) {
                Some(&at) => placed[at].stages.1 = stage,
                None => missing.push(k),
            }
        }
        let begun = placed.len();
        let before = there.clone();
        for k in missing {
            let Some(start) = there.best(readings, &placed, aligned(readings[k].bytes), stage, room) else {
                placed.truncate(begun);
                there = before;
                bring_all(readings, &wanted, stage, &mut there, &mut placed);
                break;
            };
            there.put(
                Placed { reading: k, start, end: start + aligned(readings[k].bytes), stages: (stage, stage) },
                &mut placed,
            );
        }
    }
    placed
}

/// Brings all weights of a stage anew, side by side.
fn bring_all(
    readings: &[Reading],
    wanted: &[usize],
    stage: usize,
    there: &mut There,
    placed: &mut Vec<Placed>,
) {
    for &at in &there.held {
        let Placed { reading, stages, .. } = &mut placed[at];
        if stages.1 == stage {
            // It was to stay for this stage, and comes anew instead.
            let earlier = readings[*reading].stages.iter().rev().find(|&&earlier| earlier < stage);
            stages.1 = *earlier.expect("what was there before the stage was read before it");
        }
    }
    there.held.clear();
    let mut start = 0;
    for &k in wanted {
        let end = start + aligned(readings[k].bytes);
        there.put(Placed { reading: k, start, end, stages: (stage, stage) }, placed);
        start = end;
    }
}

/// What lies in the window, by offset: places in the list of stays.
#[derive(Clone, Debug, Default)]
struct There {
    held: Vec<usize>,
}

impl There {
    /// Where so many bytes are best put for this stage; `None` if every place is taken by what the stage reads.
    fn best(
        &self,
        readings: &[Reading],
        placed: &[Placed],
        bytes: u64,
        stage: usize,
        room: u64,
    ) -> Option<u64> {
        let ends = self.held.iter().map(|&at| placed[at].end);
        let starts = self.held.iter().filter_map(|&at| placed[at].start.checked_sub(bytes));
        let fits = |start: &u64| start + bytes <= room;
        let cost = |start: u64| {
            let (mut again, mut last) = (0, 0);
            for at in self.met(placed, start, start + bytes) {
                let Placed { reading, stages, start, end } = placed[at];
                if stages.1 == stage {
                    return None;
                }
                if readings[reading].stages.last() > Some(&stage) {
                    again += end - start;
                }
                last = last.max(stages.1 + 1);
            }
            Some((again, last, start))
        };
        let places = std::iter::once(0).chain(ends).chain(starts).filter(fits);
        places.filter_map(cost).min().map(|(_, _, start)| start)
    }

    /// The stays that meet a range.
    fn met<'a>(&'a self, placed: &'a [Placed], start: u64, end: u64) -> impl Iterator<Item = usize> + 'a {
        let first = self.held.partition_point(|&at| placed[at].end <= start);
        self.held[first..].iter().copied().take_while(move |&at| placed[at].start < end)
    }

    /// Puts a weight where others may have been.
    fn put(&mut self, next: Placed, placed: &mut Vec<Placed>) {
        let from = self.held.partition_point(|&at| placed[at].end <= next.start);
        let to = self.held.partition_point(|&at| placed[at].start < next.end);
        self.held.splice(from..to.max(from), [placed.len()]);
        placed.push(next);
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(number: usize, bytes: u64, stages: &[usize]) -> Reading {
        Reading { stored: StoredId(number), nodes: Vec::new(), bytes, stages: stages.to_vec() }
    }

    fn drawn(seed: usize) -> (Vec<Reading>, usize) {
        let stages = 5 + seed % 17;
        let reading = |k: usize| {
            let mut read: Vec<usize> =
                (0..1 + (k * 7 + seed) % 4).map(|i| (k * 5 + i * (3 + seed)) % stages).collect();
            read.sort_unstable();
            read.dedup();
            reading(k, 256 * (1 + (k * 31 + seed * 13) % 9) as u64, &read)
        };
        ((0..30).map(reading).collect(), stages)
    }

    #[test]
    fn each_stage_finds_its_weights_and_none_lies_over_another() {
        for seed in 0..200 {
            let (readings, stages) = drawn(seed);
            let (_, least) = least(&readings).unwrap();
            let all: u64 = readings.iter().map(|reading| reading.bytes).sum();
            for room in [least, least + 256, least * 2, all] {
                let placed = place(&readings, stages, room);
                for (a, one) in placed.iter().enumerate() {
                    assert!(one.end <= room, "{seed}: {one:?} reaches beyond {room}");
                    for other in &placed[..a] {
                        let apart = one.end <= other.start || other.end <= one.start;
                        let follows = other.stages.1 < one.stages.0;
                        assert!(apart || follows, "{seed}: {one:?} over {other:?}");
                    }
                }
                for (k, reading) in readings.iter().enumerate() {
                    for stage in &reading.stages {
                        let found = placed
                            .iter()
                            .filter(|p| p.reading == k && p.stages.0 <= *stage && *stage <= p.stages.1);
                        assert_eq!(found.count(), 1, "{seed}: weight {k} in stage {stage}");
                    }
                }
                if room == all {
                    assert_eq!(placed.len(), readings.len(), "with room for all, nothing comes twice");
                }
            }
        }
    }

    #[test]
    fn the_next_weight_goes_where_it_can_come_first() {
        let readings: Vec<Reading> = (0..6).map(|k| reading(k, 512, &[k])).collect();
        let starts: Vec<u64> = place(&readings, 6, 1536).iter().map(|placed| placed.start).collect();
        assert_eq!(starts, [0, 512, 1024, 0, 512, 1024]);
    }

    #[test]
    fn what_is_read_again_stays_where_that_is_possible() {
        let readings = [reading(0, 512, &[0, 3]), reading(1, 512, &[1]), reading(2, 512, &[2])];
        assert_eq!(place(&readings, 4, 1024).len(), 3);
        assert_eq!(place(&readings, 4, 512).len(), 4);
    }
}
