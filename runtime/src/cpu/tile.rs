//! Boxes of points of an iteration space, walked in row-major order, and the runs of memory that they are.

use super::memory::Run;

/// The most axes of a space.
pub(super) const AXES: usize = 16;

/// A box of an iteration space: `extents[a]` points from `origin[a]` on along each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<'a> {
    /// The first point.
    pub(super) origin: &'a [u32],
    /// How many points lie along each axis.
    pub(super) extents: &'a [u32],
}

/// The axes of a box as one tensor lies along them, innermost first; neighbours that continue each other are one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    list: [(usize, i64); AXES],
    count: usize,
}

impl Axes {
    /// The axes of a box with these extents and distances.
    #[inline]
    pub(super) fn new(extents: &[u32], strides: &[i64]) -> Axes {
        let mut axes = Axes { list: [(1, 0); AXES], count: 0 };
        for (&extent, &stride) in extents.iter().zip(strides).rev() {
            if extent == 1 {
                continue;
            }
            let extent = extent as usize;
            match axes.count.checked_sub(1).map(|last| &mut axes.list[last]) {
                Some((inner, step)) if stride == *step * *inner as i64 => *inner *= extent,
                _ => {
                    axes.list[axes.count] = (extent, stride);
                    axes.count += 1;
                }
            }
        }
        axes.count = axes.count.max(1);
        axes
    }

    /// One axis.
    pub(super) fn line(extent: usize, stride: i64) -> Axes {
        let mut list = [(1, 0); AXES];
        list[0] = (extent, stride);
        Axes { list, count: 1 }
    }

    /// The distance of neighbours along the innermost axis.
    pub(super) fn inner(&self) -> i64 {
        self.list[0].1
    }

    /// Where point number `flat` lies from the first one.
    pub(super) fn at(&self, flat: usize) -> i64 {
        let (mut rest, mut place) = (flat, 0);
        for &(extent, stride) in &self.list[..self.count] {
            place += (rest % extent) as i64 * stride;
            rest /= extent;
        }
        place
    }

    /// Calls `each` with the runs of the points `start..start + count`: the first lane, how many, and where they lie;
    /// `base` is the place of the first point of the box.
    #[inline]
    pub(super) fn runs(
        &self,
        base: i64,
        start: usize,
        count: usize,
        mut each: impl FnMut(usize, usize, Run),
    ) {
        let (inner, stride) = self.list[0];
        if self.count == 1 {
            return each(0, count, Run { first: base + start as i64 * stride, stride });
        }
        let mut coordinates = [0usize; AXES];
        let (mut rest, mut first) = (start, base);
        for (coordinate, &(extent, stride)) in coordinates.iter_mut().zip(&self.list[..self.count]) {
            (rest, *coordinate) = (rest / extent, rest % extent);
            first += *coordinate as i64 * stride;
        }
        let mut lane = 0;
        loop {
            let length = (inner - coordinates[0]).min(count - lane);
            each(lane, length, Run { first, stride });
            lane += length;
            if lane == count {
                return;
            }
            first -= coordinates[0] as i64 * stride;
            coordinates[0] = 0;
            for (coordinate, &(extent, stride)) in
                coordinates.iter_mut().zip(&self.list[..self.count]).skip(1)
            {
                *coordinate += 1;
                first += stride;
                if *coordinate < extent {
                    break;
                }
                first -= extent as i64 * stride;
                *coordinate = 0;
            }
        }
    }
}

/// Writes the coordinates of point number `flat` of a box that begins at 0.
pub(super) fn coordinates(extents: &[u32], flat: usize, into: &mut [u32]) {
    let mut rest = flat;
    for (coordinate, &extent) in into.iter_mut().zip(extents).rev() {
        *coordinate = (rest % extent as usize) as u32;
        rest /= extent as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_points_in_order() {
        let cases: [(&[u32], &[i64]); 5] = [
            (&[2, 3, 4], &[12, 4, 1]),
            (&[2, 3, 4], &[0, 1, 0]),
            (&[3, 1, 4], &[-5, 7, 20]),
            (&[5], &[2]),
            (&[], &[]),
        ];
        for (extents, strides) in cases {
            let count: usize = extents.iter().map(|&e| e as usize).product();
            let place = |flat: usize| {
                let mut at = vec![0; extents.len()];
                coordinates(extents, flat, &mut at);
                100 + at.iter().zip(strides).map(|(&c, s)| i64::from(c) * s).sum::<i64>()
            };
            let axes = Axes::new(extents, strides);
            for start in 0..count {
                for length in 1..=count - start {
                    let mut found = vec![None; length];
                    axes.runs(100, start, length, |lane, many, run| {
                        for k in 0..many {
                            found[lane + k] = Some(run.first + k as i64 * run.stride);
                        }
                    });
                    let wanted: Vec<_> = (start..start + length).map(|flat| Some(place(flat))).collect();
                    assert_eq!(found, wanted, "{extents:?} {strides:?} from {start}");
                }
            }
        }
    }
}
