//! Fewer axes: neighbours that every access walks as one become one, axes of extent 1 vanish.

use nnc_wgsl::Place;

use super::layout::signed;

/// The extents and the strides of each place after coalescing; places keep their offsets.
#[must_use]
pub fn coalesce(extents: &[usize], places: &[Place]) -> (Vec<u32>, Vec<Place>) {
    let mut axes: Vec<(usize, Vec<i64>)> = Vec::new();
    for (a, &extent) in extents.iter().enumerate() {
        if extent == 1 {
            continue;
        }
        let strides: Vec<i64> = places.iter().map(|p| p.strides[a]).collect();
        match axes.last_mut() {
            Some((outer, last)) if last.iter().zip(&strides).all(|(o, s)| *o == s * signed(extent)) => {
                *outer *= extent;
                *last = strides;
            }
            _ => axes.push((extent, strides)),
        }
    }
    let extents = axes.iter().map(|(e, _)| word(*e)).collect();
    let places = (0..places.len())
        .map(|k| Place { offset: places[k].offset, strides: axes.iter().map(|(_, s)| s[k]).collect() })
        .collect();
    (extents, places)
}

/// An extent as a kernel parameter.
///
/// # Panics
/// If it does not fit: tensors have fewer than 2^32 elements along an axis.
#[must_use]
pub(super) fn word(extent: usize) -> u32 {
    u32::try_from(extent).expect("an extent fits into 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(strides: &[i64]) -> Place {
        Place { offset: 3, strides: strides.to_vec() }
    }

    #[test]
    fn axes_that_all_places_walk_as_one_become_one() {
        let (extents, places) = coalesce(&[2, 3, 1, 4], &[place(&[12, 4, 9, 1]), place(&[0, 0, 0, 1])]);
        assert_eq!(extents, [6, 4]);
        assert_eq!(places, [place(&[4, 1]), place(&[0, 1])]);
    }

    #[test]
    fn a_single_number_has_no_axes() {
        assert_eq!(coalesce(&[1, 1], &[place(&[5, 5])]), (vec![], vec![place(&[])]));
    }
}
