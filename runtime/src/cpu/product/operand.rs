//! The operands of products: where their elements come from, and how they are packed.

use nnc_wgsl::Element;

use super::super::access::{Data, Tensor, first, load_run};
use super::super::tile::Axes;
use super::DEPTH;

/// An operand of a product: rows of the left one or columns of the right one, which are its *lines*, and the terms of
/// the sum.
pub(in crate::cpu) trait Operand: Sync {
    /// Whether many lines of one term are filled at a time, or else many terms of one line.
    fn is_by_term(&self) -> bool;

    /// Fills lanes with a term of the lines from `line` on, or with terms of a line from `term` on.
    fn fill(&self, data: Data<'_>, batch: usize, line: usize, term: usize, into: &mut [f32]);

    /// Gives the means to fill lanes with `terms` (first, count) of each of `lines`, one after another.
    fn each_line(
        &self,
        data: Data<'_>,
        batch: usize,
        lines: [usize; 2],
        terms: [usize; 2],
        each: &mut EachLine<'_>,
    ) {
        for l in 0..lines[1] {
            each(l, &mut |row| self.fill(data, batch, lines[0] + l, terms[0], row));
        }
    }

    /// Shows `terms` (first, count) of the lines from `line` on, one after another, in a row of lanes for them.
    fn each_term(
        &self,
        data: Data<'_>,
        batch: usize,
        line: usize,
        terms: [usize; 2],
        row: &mut [f32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) {
        for k in 0..terms[1] {
            self.fill(data, batch, line, terms[0] + k, row);
            each(k, row);
        }
    }
}

/// Takes a line by its number, and what fills lanes with its terms.
pub(in crate::cpu) type EachLine<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut [f32])) + 'a;

/// Packs `lines` (first, count) and `terms` into panels of `width` lines, each term by term; what is missing in the last
/// panel is 0.
pub(super) fn pack(
    operand: &dyn Operand,
    data: Data<'_>,
    batch: usize,
    lines: [usize; 2],
    terms: [usize; 2],
    width: usize,
    into: &mut [f32],
) {
    let ([line, lines], [term, terms]) = (lines, terms);
    let panels = lines.div_ceil(width);
    let into = &mut into[..panels * width * terms];
    if !lines.is_multiple_of(width) {
        into[(panels - 1) * width * terms..].fill(0.0);
    }
    if operand.is_by_term() {
        let mut row = [0.0; MOST];
        let most = MOST / width * width;
        for begin in (0..lines).step_by(most) {
            let row = &mut row[..(lines - begin).min(most)];
            let panels = &mut into[begin * terms..];
            operand.each_term(data, batch, line + begin, [term, terms], row, &mut |k, row| {
                to_panels(row, width, terms, k, panels);
            });
        }
    } else {
        let mut rows = [[0.0; DEPTH]; GROUP];
        operand.each_line(data, batch, [line, lines], [term, terms], &mut |l, fill| {
            let (panel, lane) = (l / width, l % width);
            let group = lane % GROUP;
            fill(&mut rows[group][..terms]);
            if group + 1 == GROUP || lane + 1 == width || l + 1 == lines {
                let panel = &mut into[panel * width * terms..][..width * terms];
                transpose(&rows, group + 1, width, &mut panel[lane - group..]);
            }
        });
    }
}

/// Writes term `k` of a row of lines into its panels.
#[inline]
fn to_panels(row: &[f32], width: usize, terms: usize, k: usize, into: &mut [f32]) {
    const USUAL: usize = 16;
    if width == USUAL {
        let (whole, rest) = row.as_chunks::<USUAL>();
        for (panel, lanes) in whole.iter().enumerate() {
            let to = &mut into[panel * USUAL * terms + k * USUAL..][..USUAL];
            to.copy_from_slice(lanes);
        }
        if !rest.is_empty() {
            into[whole.len() * USUAL * terms + k * USUAL..][..rest.len()].copy_from_slice(rest);
        }
    } else {
        for (panel, lanes) in row.chunks(width).enumerate() {
            into[panel * width * terms + k * width..][..lanes.len()].copy_from_slice(lanes);
        }
    }
}

/// Lines that are turned into terms at a time.
const GROUP: usize = 8;

/// Writes `count` rows of terms into lanes of a panel, term by term.
#[inline]
fn transpose(rows: &[[f32; DEPTH]; GROUP], count: usize, width: usize, panel: &mut [f32]) {
    if count == GROUP {
        for (k, to) in panel.chunks_mut(width).enumerate() {
            let lanes: [f32; GROUP] = std::array::from_fn(|l| rows[l][k]);
            to[..GROUP].copy_from_slice(&lanes);
        }
    } else {
        for (k, to) in panel.chunks_mut(width).enumerate() {
            for (to, row) in to.iter_mut().zip(&rows[..count]) {
                *to = row[k];
            }
        }
    }
}

/// The most lines that are filled at a time.
const MOST: usize = 512;

/// An operand that lies in memory as it is multiplied.
#[derive(Clone, Debug)]
pub(in crate::cpu) struct Dense {
    /// What is stored.
    pub(in crate::cpu) element: Element,
    /// Where.
    pub(in crate::cpu) tensor: Tensor,
    /// The place of its first element, in elements.
    pub(in crate::cpu) offset: i64,
    /// From one product of the batch to the next.
    pub(in crate::cpu) batch: i64,
    /// The lines.
    pub(in crate::cpu) lines: Axes,
    /// The terms.
    pub(in crate::cpu) terms: Axes,
}

impl Operand for Dense {
    fn is_by_term(&self) -> bool {
        self.lines.inner() == 1 || self.terms.inner() != 1
    }

    fn fill(&self, data: Data<'_>, batch: usize, line: usize, term: usize, into: &mut [f32]) {
        let memory = &data.memories[self.tensor.memory];
        let base = self.offset + batch as i64 * self.batch + first(self.element, &self.tensor);
        let (along, start, base) = match self.is_by_term() {
            true => (&self.lines, line, base + self.terms.at(term)),
            false => (&self.terms, term, base + self.lines.at(line)),
        };
        along.runs(base, start, into.len(), |lane, many, run| {
            load_run(memory, self.element, run, &mut into[lane..lane + many]);
        });
    }
}
