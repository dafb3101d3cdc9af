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
    let mut arenas: Vec<Arena> = Vec::new();
    for &k in &order {
        let (bytes, alive) = (aligned(requests[k].bytes), requests[k].alive);
        let found = arenas.iter().enumerate().find_map(|(number, arena)| {
            let (offset, place) = arena.lowest(bytes, alive);
            (offset == 0 || offset + bytes <= limit).then_some((number, offset, place))
        });
        let (number, offset, place) = found.unwrap_or((arenas.len(), 0, 0));
        if number == arenas.len() {
            arenas.push(Arena::default());
        }
        arenas[number].take(place, Taken { offset, end: offset + bytes, alive });
        spots[k] = Some(Spot { arena: number, offset });
    }
    let spots = spots.into_iter().map(|spot| spot.expect("every request got a spot")).collect();
    (spots, arenas.into_iter().map(|arena| arena.bytes).collect())
}

/// The values of an arena so far, by offset: the lowest place of another is found in one walk over them, which ends at
/// the first gap.
#[derive(Default)]
struct Arena {
    taken: Vec<Taken>,
    bytes: u64,
}

/// A range of an arena, in bytes, and the stages in which it is taken.
#[derive(Clone, Copy)]
struct Taken {
    offset: u64,
    end: u64,
    alive: (usize, usize),
}

impl Arena {
    /// The lowest offset at which so many bytes are free in all of these stages, and where a range that begins there
    /// belongs in the order.
    fn lowest(&self, bytes: u64, alive: (usize, usize)) -> (u64, usize) {
        let mut offset = 0;
        for taken in self.taken.iter().filter(|taken| overlap(taken.alive, alive)) {
            if taken.offset >= offset + bytes {
                break;
            }
            offset = offset.max(taken.end);
        }
        (offset, self.taken.partition_point(|taken| taken.offset <= offset))
    }

    fn take(&mut self, place: usize, taken: Taken) {
        self.bytes = self.bytes.max(taken.end);
        self.taken.insert(place, taken);
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT)
}

/// The most bytes alive at one time: no packing can need less.
#[must_use]
pub fn lower_bound(requests: &[Request]) -> u64 {
    let end = requests.iter().map(|r| r.alive.1 + 1).max().unwrap_or(0);
    let (mut begun, mut ended) = (vec![0; end], vec![0; end]);
    for request in requests {
        begun[request.alive.0] += aligned(request.bytes);
        ended[request.alive.1] += aligned(request.bytes);
    }
    let (mut alive, mut most) = (0, 0);
    for (begun, ended) in begun.into_iter().zip(ended) {
        alive += begun;
        most = most.max(alive);
        alive -= ended;
    }
    most
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
    fn each_value_lies_at_the_lowest_place_that_is_free() {
        let requests: Vec<Request> = (0..200)
            .map(|k: u64| {
                let start = usize::try_from(k * 37 % 101).expect("small");
                let length = usize::try_from(k * 13 % 29).expect("small");
                Request { bytes: 256 * (1 + k * 7 % 5), alive: (start, start + length) }
            })
            .collect();
        let (spots, _) = pack(&requests, u64::MAX);
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&k| (std::cmp::Reverse(requests[k].bytes), requests[k].alive, k));
        for (at, &k) in order.iter().enumerate() {
            let before = order[..at].iter().filter(|&&o| overlap(requests[o].alive, requests[k].alive));
            let before: Vec<(u64, u64)> =
                before.map(|&o| (spots[o].offset, spots[o].offset + requests[o].bytes)).collect();
            let free = |offset: u64| {
                before.iter().all(|&(start, end)| offset + requests[k].bytes <= start || end <= offset)
            };
            let places = std::iter::once(0).chain(before.iter().map(|(_, end)| *end));
            assert_eq!(Some(spots[k].offset), places.filter(|&offset| free(offset)).min());
        }
    }

    #[test]
    fn values_that_follow_each_other_share_memory() {
        let requests = [Request { bytes: 512, alive: (0, 1) }, Request { bytes: 512, alive: (2, 3) }];
        assert_eq!(pack(&requests, 1 << 30).1, [512]);
    }
}
