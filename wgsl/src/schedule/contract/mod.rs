//! Matrix products. On a GPU a workgroup computes a tile through workgroup memory ([`mod@tile`]); on a software
//! driver a subgroup computes a block straight from storage ([`mod@lanes`]). Where there are few tiles
//! and the sum is long, the sum is split over workgroups and a second launch adds the parts in order.

mod dense;
pub(crate) mod lanes;
pub(crate) mod tile;

pub(crate) use self::dense::{Dense, dense_side, dense_stream, stash_depth, stash_outer};
use self::lanes::{Block, lanes};
use self::tile::{Product, Splits, Tile};
use super::ContractSpec;
use super::finish::{Finish, epilogue_space, finish_partials};
use super::source::Source;
use crate::access::Place;
use crate::kernel::{Launch, Schedule, Slot};
use crate::print::Width;
use crate::profile::Profile;

/// Terms of a sum that are as much work as one access of the epilogue.
const TERMS: usize = 128;

/// The fewest terms of a sum that is split: less of it takes no longer than a second launch.
const SPLIT: u32 = 256;

/// The launches that compute `spec`. Slots are left, right, then the epilogue's reads; its writes.
#[must_use]
pub fn contract(spec: &ContractSpec, profile: &Profile) -> Schedule {
    let &ContractSpec { batch, m, n, k, parts, .. } = spec;
    let left = Dense::new(&spec.left, Slot::Read(0), m, spec.left.row, spec.left.column);
    let right = Dense::new(&spec.right, Slot::Read(1), n, spec.right.column, spec.right.row).in_parts(parts);
    let space = epilogue_space(&spec.epilogue, &[batch, m, n], 2);
    let block = match parts {
        1 => Block::choose(batch, m, n, k, profile.subgroup),
        parts => Block::in_parts(m, parts, profile.subgroup),
    };
    let wanted = if profile.cheap_barriers {
        Tile::splits([batch, m, n], k, true, profile)
    } else {
        block.splits(batch, m, n, k)
    };
    let alone = parts > 1 || is_step(spec) || (wanted.count > 1 && k < SPLIT);
    let splits = if alone { Splits { count: 1, chunk: k } } else { wanted };
    let build = |splits: u32, chunk: u32| -> Launch {
        let mut source = Source::default();
        let width = if n % 4 == 0 { Width::Four } else { Width::One };
        let product = Product { z: batch, m, n, k, chunk, splits, parts, dense: true };
        let names = product.declare(&mut source);
        let finish = if splits > 1 {
            Finish::partials(&mut source, product.partial_strides(), width)
        } else {
            Finish::of_values(&mut source, &space, &spec.epilogue.expr, width, parts as usize)
        };
        finish.declare_store(&mut source, &names.m, &names.n, |_| ["z", "i", "j"].map(String::from).to_vec());
        if profile.cheap_barriers {
            let tile = Tile::choose(&product, alone, profile);
            let a = dense_side(&mut source, "a", &left, &tile.left(), &product);
            let b = dense_side(&mut source, "b", &right, &tile.right(), &product);
            tile.launch(source, "contract", &product, &a, &b)
        } else {
            let a = dense_stream(&mut source, &left, true, &block);
            let b = dense_stream(&mut source, &right, false, &block);
            lanes(source, "contract", &a, &b, &product, &block)
        }
    };
    if splits.count == 1 {
        return Schedule { launches: vec![build(1, k)], scratch: Vec::new() };
    }
    let stride = batch * m * n;
    let strides = vec![i64::from(m) * i64::from(n), i64::from(n), 1];
    let place = Place { offset: 0, strides };
    let second = finish_partials(&space, &spec.epilogue.expr, place, splits.count, stride, profile);
    Schedule {
        launches: vec![build(splits.count, splits.chunk), second],
        scratch: vec![stride as usize * splits.count as usize],
    }
}

/// Whether a product of `[batch, m, n, k]` is computed as fast with its columns in parts as in one piece: it is not so
/// large that the largest tiles or blocks pay.
#[must_use]
pub fn parts_pay(extents: [usize; 4], profile: &Profile) -> bool {
    let [batch, m, n, k] = extents.map(|extent| u32::try_from(extent).unwrap_or(u32::MAX));
    if profile.cheap_barriers {
        !Tile::is_large(batch, m, n, profile)
    } else {
        !Block::is_large(batch, m, n, k)
    }
}

/// Whether a product is a short sum followed by much work, such as a step of a recurrence: a second launch that adds
/// the parts of a split sum would cost more than it saves.
fn is_step(spec: &ContractSpec) -> bool {
    let accesses = spec.epilogue.reads.len() + spec.epilogue.writes.len();
    accesses > 1 && (spec.k as usize) < accesses * TERMS
}
