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

/// What comes first while values are packed.
type Precedence = fn(&Request) -> u64;

/// The precedences that are tried: the largest first; those that take the most room over their time; those that live
/// the longest. Which is best depends on the program, and none is for all (Sekiyama et al. 2018, *Profile-guided memory
/// optimization for deep neural networks*).
const PRECEDENCES: [Precedence; 3] =
    [|request| request.bytes, |request| request.bytes.saturating_mul(stages(request)), stages];

/// In how many stages it exists.
fn stages(request: &Request) -> u64 {
    (request.alive.1 - request.alive.0) as u64 + 1
}

/// Values that are compared with others while a packing is mended, about.
const COMPARED: usize = 1 << 22;

/// The most often that a packing is mended.
const MENDED: usize = 2000;

/// Packs values in several orders, each value at the lowest place of the first arena where nothing alive at the same
/// time lies, and takes what needs the least; no arena grows beyond `limit` bytes unless one value alone does. Returns
/// the spots and the size of each arena.
///
/// The best order is mended, while that is quick and there is something to gain: the value that reaches farthest in an
/// arena comes earlier, or two values change places, and what is no worse is kept.
#[must_use]
pub fn pack(requests: &[Request], limit: u64) -> (Vec<Spot>, Vec<u64>) {
    let least = lower_bound(requests);
    let ordered = |precedence: Precedence| {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&k| {
            let request = &requests[k];
            (std::cmp::Reverse(precedence(request)), std::cmp::Reverse(request.bytes), request.alive, k)
        });
        let packed = pack_in(requests, &order, limit);
        (order, packed)
    };
    let mut tried = PRECEDENCES.iter().map(|precedence| ordered(*precedence));
    let (mut order, mut best) = tried.next().expect("there are precedences");
    for (next, packed) in tried.take(if total(&best) > least { PRECEDENCES.len() } else { 0 }) {
        if total(&packed) < total(&best) {
            (order, best) = (next, packed);
        }
    }
    let mut drawn = 1;
    for _ in 0..MENDED.min(COMPARED / requests.len().pow(2).max(1)) {
        if total(&best) <= least {
            break;
        }
        let (spots, arenas) = &best;
        let reaches = |k: &usize| spots[*k].offset + aligned(requests[*k].bytes) == arenas[spots[*k].arena];
        let Some(place) = order.iter().rposition(reaches) else { break };
        let mut next = order.clone();
        if draw(&mut drawn, 2) == 0 {
            next[draw(&mut drawn, place + 1)..=place].rotate_right(1);
        } else {
            next.swap(draw(&mut drawn, requests.len()), draw(&mut drawn, requests.len()));
        }
        let packed = pack_in(requests, &next, limit);
        if total(&packed) <= total(&best) {
            (order, best) = (next, packed);
        }
    }
    best
}

/// The next number below `end` of a fixed sequence (Knuth, *The art of computer programming* 2, section 3.3.4).
fn draw(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).expect("31 bits") % end
}

fn total((_, arenas): &(Vec<Spot>, Vec<u64>)) -> u64 {
    arenas.iter().sum()
}

fn pack_in(requests: &[Request], order: &[usize], limit: u64) -> (Vec<Spot>, Vec<u64>) {
    let mut spots: Vec<Option<Spot>> = vec![None; requests.len()];
    let mut arenas: Vec<Arena> = Vec::new();
    for &k in order {
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
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&k| (std::cmp::Reverse(requests[k].bytes), requests[k].alive, k));
        let (spots, _) = pack_in(&requests, &order, u64::MAX);
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
    fn what_the_largest_first_packs_badly_is_packed_well_in_another_order() {
        let draws = (0..120u64).map(|k| {
            let start = usize::try_from(k * 61 % 97).expect("small");
            let length = usize::try_from(k * k * 7 % 43).expect("small");
            Request { bytes: 256 * (1 + k * k * 11 % 37), alive: (start, start + length) }
        });
        let requests: Vec<Request> = draws.collect();
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&k| (std::cmp::Reverse(requests[k].bytes), requests[k].alive, k));
        let first = total(&pack_in(&requests, &order, u64::MAX));
        let (best, least) = (total(&pack(&requests, u64::MAX)), lower_bound(&requests));
        assert!(best < first && best * 100 <= least * 105, "{first}, then {best}, {least} alive");
    }

    #[test]
    fn values_that_follow_each_other_share_memory() {
        let requests = [Request { bytes: 512, alive: (0, 1) }, Request { bytes: 512, alive: (2, 3) }];
        assert_eq!(pack(&requests, 1 << 30).1, [512]);
    }
}
