//! Columns: words that stand under one another.
//!
//! Settings are aligned by rule. Elsewhere the author decides: two words of a kind in neighbouring lines that stood in
//! one column, at least one of them behind more than one space, go on standing in one column.

use crate::format::layout::Line;
use crate::format::words::Word;

/// For every word, how many spaces more than usual stand before it.
pub(super) fn pads(words: &[Word<'_>], lines: &[Line]) -> Vec<usize> {
    let mut pads = vec![0; words.len()];
    for class in by_rule(lines) {
        align(&class, words, lines, &mut pads);
    }
    for class in by_author(words, lines) {
        align(&class, words, lines, &mut pads);
    }
    pads
}

/// A word by its line and its place in it.
type Member = (usize, usize);

/// Moves the members of a column to where the rightmost of them stands.
fn align(class: &[Member], words: &[Word<'_>], lines: &[Line], pads: &mut [usize]) {
    let columns: Vec<usize> =
        class.iter().map(|(line, at)| column(&lines[*line], *at, words, pads)).collect();
    let wanted = columns.iter().copied().max().unwrap_or(0);
    for ((line, at), column) in class.iter().zip(columns) {
        pads[lines[*line].words[*at]] += wanted - column;
    }
}

/// The first column of the word at place `at` of `line`.
fn column(line: &Line, at: usize, words: &[Word<'_>], pads: &[usize]) -> usize {
    let before = |order: usize| match words.get(line.words[order]) {
        Some(word) => usize::from(order > 0 && word.space) + pads[line.words[order]],
        None => 0,
    };
    let width = |order: usize| words.get(line.words[order]).map_or(1, Word::width);
    line.indent + (0..at).map(|order| before(order) + width(order)).sum::<usize>() + before(at)
}

/// The columns that the layout states.
fn by_rule(lines: &[Line]) -> Vec<Vec<Member>> {
    let mut classes: Vec<(usize, Vec<Member>)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((at, column)) = line.column else { continue };
        match classes.iter_mut().rev().find(|(known, _)| *known == column) {
            Some((_, class)) => class.push((number, at)),
            None => classes.push((column, vec![(number, at)])),
        }
    }
    classes.into_iter().map(|(_, class)| class).collect()
}

/// The columns that the author made, from left to right.
fn by_author(words: &[Word<'_>], lines: &[Line]) -> Vec<Vec<Member>> {
    let mut open: Vec<(usize, Vec<Member>)> = Vec::new();
    let mut done: Vec<(usize, Vec<Member>)> = Vec::new();
    for number in 1..lines.len() {
        let (above, below) = (&lines[number - 1], &lines[number]);
        let pairs = neighbours(words, above, below);
        let mut next = Vec::new();
        for (first, second) in pairs {
            let known = open.iter().position(|(_, class)| class.last() == Some(&(number - 1, first)));
            let mut class = match known {
                Some(known) => open.swap_remove(known),
                None => (words[above.words[first]].column, vec![(number - 1, first)]),
            };
            class.1.push((number, second));
            next.push(class);
        }
        done.append(&mut open);
        open = next;
    }
    done.append(&mut open);
    done.sort_by_key(|(column, class)| (*column, class[0]));
    done.into_iter().map(|(_, class)| class).collect()
}

/// The places in two lines whose words stood under one another, where the lines are neighbours still.
fn neighbours(words: &[Word<'_>], above: &Line, below: &Line) -> Vec<(usize, usize)> {
    let (Some(first), Some(second)) = (own_line(words, above), own_line(words, below)) else {
        return Vec::new();
    };
    if first + 1 != second || below.blank {
        return Vec::new();
    }
    let free = |line: &Line| line.column.map_or(1, |(at, _)| at + 1);
    let mut out = Vec::new();
    for at in free(above)..above.words.len() {
        let Some(one) = words.get(above.words[at]) else { continue };
        let under = (free(below)..below.words.len()).find(|place| {
            let other = words.get(below.words[*place]);
            other.is_some_and(|other| {
                let padded = one.gap > 1 || other.gap > 1;
                other.kind == one.kind && other.column == one.column && padded && one.space && other.space
            })
        });
        out.extend(under.map(|under| (at, under)));
    }
    out
}

/// The line of the text that holds all words of `line` and nothing between them that is not of it.
fn own_line(words: &[Word<'_>], line: &Line) -> Option<usize> {
    let mut numbers = line.words.iter().filter_map(|word| words.get(*word)).map(|word| word.line);
    let first = numbers.next()?;
    numbers.all(|number| number == first).then_some(first)
}
