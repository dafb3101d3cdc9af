//! Names that were probably meant, and counts in words.

/// Names of so many letters are like no other.
const LONGEST_NAME: usize = 65;

/// The beginning of a name is taken for it from so many letters on.
const SHORTEST_BEGINNING: usize = 3;

/// The known name closest to `name`, when it is close enough to have been meant: at most a third of the letters of the
/// shorter one differ, or nothing but case and `_`, which goes before all else, or one has a letter more at its end, as
/// `lrr` has, or it is the beginning of the known one, as `lin` of `linear`.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length >= LONGEST_NAME {
        return None;
    }
    let folded = fold(name);
    let near = |candidate: &'a str| {
        let other = candidate.chars().count();
        if candidate == name || other >= LONGEST_NAME {
            return None;
        }
        if fold(candidate) == folded {
            return Some((0, 0, candidate));
        }
        let (short, long) = if length < other { (name, candidate) } else { (candidate, name) };
        if length.min(other) > 1 && length.abs_diff(other) == 1 && long.starts_with(short) {
            return Some((1, 0, candidate));
        }
        if length >= SHORTEST_BEGINNING && candidate.starts_with(name) {
            return Some((1, other - length, candidate));
        }
        let distance = edit_distance(name, candidate);
        (distance <= length.min(other) / 3).then_some((distance, usize::MAX, candidate))
    };
    known.into_iter().filter_map(near).min().map(|(_, _, candidate)| candidate)
}

/// `1 value`, `2 values`
#[must_use]
pub fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// ``did you mean `...`?`` for the known name closest to `name`.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|found| format!("did you mean `{found}`?"))
}

/// `text` without case and `_`.
fn fold(text: &str) -> String {
    text.to_lowercase().replace('_', "")
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let change = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_close_or_absent() {
        let known = ["batch_norm", "conv", "relu", "pad"];
        assert_eq!(nearest("batchnorm", known), Some("batch_norm"));
        assert_eq!(nearest("padd", known), Some("pad"));
        assert_eq!(nearest("transformer", known), None);
        assert_eq!(nearest("cnov", known), Some("conv"));
        assert_eq!(nearest("RELU", known), Some("relu"));
        for (name, other) in
            [("clip", "ceil"), ("foo", "cos"), ("std", "sgdm"), ("median", "mean"), ("LRN", "N")]
        {
            assert_eq!(nearest(name, [other]), None, "{name} is not {other}");
        }
        assert_eq!(nearest("conv", ["conv"]), None, "no name is meant by itself");
        assert_eq!(nearest("lin", ["len", "linear", "linear_along"]), Some("linear"), "it begins so");
        assert_eq!(nearest("li", ["linear"]), None, "two letters begin many names");
    }
}
