//! The text of lines.

use crate::format::layout::Line;
use crate::format::words::Word;

/// The text of `lines`, with `pads` further spaces before each word.
pub(super) fn print(words: &[Word<'_>], lines: &[Line], pads: &[usize]) -> String {
    let mut text = String::new();
    for line in lines {
        if line.blank && !text.is_empty() {
            text.push('\n');
        }
        let mut column = 0;
        let mut push = |part: &str| {
            text.push_str(part);
            column += part.chars().count();
        };
        push(&" ".repeat(line.indent));
        for (order, word) in line.words.iter().enumerate() {
            let Some(word_here) = words.get(*word) else {
                push(";");
                continue;
            };
            let space = usize::from(order > 0 && word_here.space) + pads[*word];
            push(&" ".repeat(space));
            push(word_here.text);
        }
        if let Some(comment) = line.comment {
            let wanted = if line.words.is_empty() { 0 } else { words[comment].column.max(column + 2) };
            let space = wanted.saturating_sub(column);
            text.push_str(&" ".repeat(space));
            text.push_str(words[comment].text);
        }
        text.push('\n');
    }
    text
}
