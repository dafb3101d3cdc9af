//! Packing values into arenas: values whose lifetimes overlap get disjoint ranges.

use super::storage::ALIGNMENT;

/// A value to be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its size in bytes.
    pub bytes: u64,
    /// The first and the last stage in which it exists.
    pub alive: (usize, usize),
}

/// Where a value was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which arena.
    pub arena: usize,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// Packs the largest first, each at the lowest place of the first arena where nothing alive at the same time lies;
/// no arena grows beyond `limit` bytes unless one value alone does. Returns the spots and the size of each arena.
#[must_use]
pub fn pack(requests: &[Request], limit: u64) -> (Vec<Spot>, Vec<u64>) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&k| (std::cmp::Reverse(requests[k].bytes), requests[k].alive, k));
    let mut spots: Vec<Option<Spot>> = vec![None; requests.len()];
    let mut arenas: Vec<u64> = Vec::new();
    for &k in &order {
        let request = requests[k];
        let bytes = request.bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
        let mut arena = 0;
        let offset = loop {
            let mut taken: Vec<(u64, u64)> = (0..requests.len())
                .filter(|&other| overlap(requests[other].alive, request.alive))
                .filter_map(|other| {
                    let spot = spots[other].filter(|s| s.arena == arena)?;
                    Some((
                        spot.offset,
                        spot.offset + requests[other].bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT),
                    ))
                })
                .collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (start, end) in taken {
                if start >= offset + bytes {
                    break;
                }
                offset = offset.max(end);
            }
            if offset == 0 || offset + bytes <= limit {
                break offset;
            }
            arena += 1;
        };
        if arena == arenas.len() {
            arenas.push(0);
        }
        arenas[arena] = arenas[arena].max(offset + bytes);
        spots[k] = Some(Spot { arena, offset });
    }
    (spots.into_iter().map(|s| s.expect("every request got a spot")).collect(), arenas)
}

/// The most bytes alive at one time: no packing can need less.
#[must_use]
pub fn lower_bound(requests: &[Request]) -> u64 {
    let end = requests.iter().map(|r| r.alive.1 + 1).max().unwrap_or(0);
    (0..end)
        .map(|stage| {
            let alive = requests.iter().filter(|r| r.alive.0 <= stage && stage <= r.alive.1);
            alive.map(|r| r.bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT)).sum()
        })
        .max()
        .unwrap_or(0)
}

fn overlap(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_alive_together_do_not_overlap() {
        let requests: Vec<Request> = (0..60)
            .map(|k: u64| {
                let start = usize::try_from(k * 7 % 23).expect("small");
                let length = usize::try_from(k * 5 % 9).expect("small");
                Request { bytes: 100 + k * 37 % 1000 * 8, alive: (start, start + length) }
            })
            .collect();
        let (spots, arenas) = pack(&requests, 20_000);
        for a in 0..requests.len() {
            assert!(spots[a].offset + requests[a].bytes <= arenas[spots[a].arena]);
            for b in 0..a {
                let together =
                    overlap(requests[a].alive, requests[b].alive) && spots[a].arena == spots[b].arena;
                let apart = spots[a].offset + requests[a].bytes <= spots[b].offset
                    || spots[b].offset + requests[b].bytes <= spots[a].offset;
                assert!(!together || apart, "{a} and {b} are alive together and overlap");
            }
        }
        assert!(arenas.iter().sum::<u64>() >= lower_bound(&requests));
    }

    #[test]
    fn values_that_follow_each_other_share_memory() {
        let requests = [Request { bytes: 512, alive: (0, 1) }, Request { bytes: 512, alive: (2, 3) }];
        assert_eq!(pack(&requests, 1 << 30).1, [512]);
    }
}
