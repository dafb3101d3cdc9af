//! The axes of a matrix product, sorted into batch, rows, columns and the summed ones.

use std::collections::BTreeMap;

use super::layout::Layout;

/// The letters of a product by their part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractGroups {
    /// In both operands and the result.
    pub batch: Vec<char>,
    /// In the left operand and the result.
    pub m: Vec<char>,
    /// In the right operand and the result.
    pub n: Vec<char>,
    /// In both operands only: summed.
    pub k: Vec<char>,
}

/// Sorts the letters; batch, rows and columns in the order of the result, the summed ones in that of the left.
#[must_use]
pub fn contract_groups(left: &[char], right: &[char], result: &[char]) -> ContractGroups {
    let of = |in_left: bool, in_right: bool| {
        let letters = result.iter().copied();
        letters.filter(|c| left.contains(c) == in_left && right.contains(c) == in_right).collect()
    };
    ContractGroups {
        batch: of(true, true),
        m: of(true, false),
        n: of(false, true),
        k: left.iter().copied().filter(|c| !result.contains(c)).collect(),
    }
}

impl ContractGroups {
    /// The one stride of a group of axes of a layout whose axes have these letters: one step along the group, the
    /// last letter fastest. `None` where the axes do not follow each other in memory; 0 for a group of extent 1.
    #[must_use]
    pub fn collapse(&self, letters: &[char], layout: &Layout, group: &[char]) -> Option<i64> {
        let axes: BTreeMap<char, (usize, i64)> = letters
            .iter()
            .zip(layout.shape.iter().zip(&layout.strides))
            .map(|(&c, (&extent, &stride))| (c, (extent, stride)))
            .collect();
        let runs: Vec<(usize, i64)> = group.iter().map(|c| axes[c]).collect();
        collapse(&runs)
    }
}

/// The stride of axes `(extent, stride)` walked as one, the last fastest.
#[must_use]
pub(super) fn collapse(axes: &[(usize, i64)]) -> Option<i64> {
    let mut walked: Option<(i64, i64)> = None;
    for &(extent, stride) in axes.iter().rev().filter(|(extent, _)| *extent != 1) {
        let extent = super::layout::signed(extent);
        match walked {
            None => walked = Some((stride, stride * extent)),
            Some((first, next)) if next == stride => walked = Some((first, stride * extent)),
            Some(_) => return None,
        }
    }
    Some(walked.map_or(0, |(first, _)| first))
}
