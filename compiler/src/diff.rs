//! What is different between two texts, line by line, as `diff -u` writes it.

use std::fmt::Write as _;

/// Equal lines shown around a difference.
const AROUND: usize = 3;

/// The most differences that are looked for before the rest of both texts is taken as different.
const MOST: usize = 4000;

/// A line of one text or both, by its number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Both(usize, usize),
    Old(usize),
    New(usize),
}

/// The differences, with three equal lines around each, below headings `@@ -LINE,LINES +LINE,LINES @@` with lines from 1;
/// empty where there are none.
#[must_use]
pub fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = aligned(&old, &new);
    let is_near = |place: usize| {
        let near = &lines[place.saturating_sub(AROUND)..(place + AROUND + 1).min(lines.len())];
        near.iter().any(|line| !matches!(line, Line::Both(..)))
    };
    let mut text = String::new();
    let mut place = 0;
    while place < lines.len() {
        if !is_near(place) {
            place += 1;
            continue;
        }
        let end = (place..lines.len()).find(|at| !is_near(*at)).unwrap_or(lines.len());
        let hunk = &lines[place..end];
        let before = |wanted: fn(&&Line) -> bool| lines[..place].iter().filter(wanted).count();
        let inside = |wanted: fn(&&Line) -> bool| hunk.iter().filter(wanted).count();
        let is_old: fn(&&Line) -> bool = |line| !matches!(line, Line::New(_));
        let is_new: fn(&&Line) -> bool = |line| !matches!(line, Line::Old(_));
        let heading = (before(is_old) + 1, inside(is_old), before(is_new) + 1, inside(is_new));
        writeln!(text, "@@ -{},{} +{},{} @@", heading.0, heading.1, heading.2, heading.3)
            .expect("a string takes text");
        for line in hunk {
            let (sign, content) = match *line {
                Line::Both(at, _) => (' ', old[at]),
                Line::Old(at) => ('-', old[at]),
                Line::New(at) => ('+', new[at]),
            };
            writeln!(text, "{sign}{content}").expect("a string takes text");
        }
        place = end;
    }
    text
}

/// Both texts as one list of lines, with as few of one text alone as there can be.
fn aligned(old: &[&str], new: &[&str]) -> Vec<Line> {
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut old.iter().zip(new));
    let tail = same(&mut old[head..].iter().rev().zip(new[head..].iter().rev()));
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let middle = shortest(&old[head..old_end], &new[head..new_end]);
    let moved = middle.into_iter().map(|line| match line {
        Line::Both(a, b) => Line::Both(a + head, b + head),
        Line::Old(a) => Line::Old(a + head),
        Line::New(b) => Line::New(b + head),
    });
    let heads = (0..head).map(|at| Line::Both(at, at));
    let tails = (0..tail).map(|at| Line::Both(old_end + at, new_end + at));
    heads.chain(moved).chain(tails).collect()
}

/// The shortest way from one text to the other (Myers, An O(ND) Difference Algorithm and Its Variations, 1986).
fn shortest(old: &[&str], new: &[&str]) -> Vec<Line> {
    let most = (old.len() + new.len()).min(MOST);
    let at = |diagonal: isize| usize::try_from(diagonal + most as isize + 1).expect("a diagonal in bounds");
    let mut furthest = vec![0usize; 2 * most + 3];
    let mut steps: Vec<Vec<usize>> = Vec::new();
    let new_at = |x: usize, diagonal: isize| x.wrapping_add_signed(-diagonal);
    for distance in 0..=most as isize {
        steps.push(furthest.clone());
        for diagonal in (-distance..=distance).step_by(2) {
            let is_new = is_insertion(&furthest, diagonal, distance, at);
            let mut x = if is_new { furthest[at(diagonal + 1)] } else { furthest[at(diagonal - 1)] + 1 };
            while x < old.len() && new_at(x, diagonal) < new.len() && old[x] == new[new_at(x, diagonal)] {
                x += 1;
            }
            furthest[at(diagonal)] = x;
            if x >= old.len() && new_at(x, diagonal) >= new.len() {
                return walked_back(&steps, old.len(), new.len(), at);
            }
        }
    }
    (0..old.len()).map(Line::Old).chain((0..new.len()).map(Line::New)).collect()
}

/// Whether the furthest way to a diagonal ends with a line of the new text.
fn is_insertion(furthest: &[usize], diagonal: isize, distance: isize, at: impl Fn(isize) -> usize) -> bool {
    diagonal == -distance || (diagonal != distance && furthest[at(diagonal - 1)] < furthest[at(diagonal + 1)])
}

fn walked_back(
    steps: &[Vec<usize>],
    mut x: usize,
    mut y: usize,
    at: impl Fn(isize) -> usize + Copy,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (distance, furthest) in steps.iter().enumerate().rev() {
        let (distance, diagonal) = (distance as isize, x as isize - y as isize);
        let is_new = is_insertion(furthest, diagonal, distance, at);
        let from = if is_new { diagonal + 1 } else { diagonal - 1 };
        let start = furthest[at(from)];
        let (start_x, start_y) =
            if distance == 0 { (0, 0) } else { (start, start.wrapping_add_signed(-from)) };
        while x > start_x && y > start_y {
            (x, y) = (x - 1, y - 1);
            lines.push(Line::Both(x, y));
        }
        if distance > 0 {
            lines.push(if is_new { Line::New(start_y) } else { Line::Old(start_x) });
            (x, y) = (start_x, start_y);
        }
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::{Line, aligned, diff};

    #[test]
    fn both_texts_can_be_read_from_the_lines() {
        let words = ["a", "b", "c", "d"];
        let mut state = 7_u64;
        let mut drawn = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("31 bits") % limit
        };
        for _ in 0..2000 {
            let text = |drawn: &mut dyn FnMut(usize) -> usize| -> Vec<&str> {
                (0..drawn(12)).map(|_| words[drawn(4)]).collect()
            };
            let (old, new) = (text(&mut drawn), text(&mut drawn));
            let lines = aligned(&old, &new);
            let olds = lines.iter().filter_map(|line| match line {
                Line::Both(at, _) | Line::Old(at) => Some(old[*at]),
                Line::New(_) => None,
            });
            assert_eq!(olds.collect::<Vec<_>>(), old);
            let news = lines.iter().filter_map(|line| match line {
                Line::Both(_, at) | Line::New(at) => Some(new[*at]),
                Line::Old(_) => None,
            });
            assert_eq!(news.collect::<Vec<_>>(), new);
            let common = lines.iter().filter(|line| matches!(line, Line::Both(..))).count();
            assert_eq!(common, longest_common(&old, &new), "{old:?} {new:?}");
        }
    }

    /// The length of the longest common subsequence, by the table of all beginnings.
    fn longest_common(old: &[&str], new: &[&str]) -> usize {
        let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
        for (i, a) in old.iter().enumerate() {
            for (j, b) in new.iter().enumerate() {
                table[i + 1][j + 1] =
                    if a == b { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
            }
        }
        table[old.len()][new.len()]
    }

    #[test]
    fn a_difference_stands_between_three_equal_lines_with_its_place() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(
            diff(old, &old.replace('5', "five")),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
        assert_eq!(diff(old, old), "");
    }
}
