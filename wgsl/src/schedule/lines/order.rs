//! Lines in order: the place of an element is the number of those before it. Short lines are counted through; long ones
//! block by block, and then each element looks up its place in every other block by halving.
//!
//! Equal elements stay in the order in which they lie. Keys are compared as whole numbers made of their bits, so that the
//! order is whole whatever a driver makes of comparisons: what is not a number is larger than all others.

use std::fmt::Write as _;

use super::{moved, workgroup};
use crate::access::Place;
use crate::element::Element;
use crate::kernel::{Launch, Schedule, Slot};
use crate::print::Width;
use crate::profile::Profile;
use crate::schedule::LineSpec;
use crate::schedule::address::Address;
use crate::schedule::finish::Finish;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::{Space, coordinates};

/// The longest line that is counted through.
const SHORT: u32 = 1024;

/// Elements of a block of a longer line.
const BLOCK: u32 = 256;

/// The lines that are put in order.
pub(super) struct Lines {
    /// The operand that holds the keys.
    pub(super) slot: usize,
    /// What the keys are.
    pub(super) element: Element,
    /// Where they lie over `extents`.
    pub(super) place: Place,
    /// The extents of the lines' space.
    pub(super) extents: Vec<u32>,
    /// The axis along which a line lies.
    pub(super) axis: usize,
    /// Whether the largest comes first.
    pub(super) descending: bool,
}

impl Lines {
    fn length(&self) -> u32 {
        self.extents[self.axis]
    }

    /// The number of lines.
    pub(super) fn count(&self) -> u32 {
        self.extents.iter().product::<u32>() / self.length()
    }

    /// Appends the key `name` as a whole number in the order of the keys, from its bits.
    fn key(&self, name: &str, bits: &str, body: &mut String) {
        let _ = if self.element == Element::I32 {
            writeln!(body, "let {name} = {bits} ^ 0x80000000u;")
        } else {
            writeln!(
                body,
                "let {name}_bits = {bits};\n\
                 let {name}_signed = select({name}_bits | 0x80000000u, ~{name}_bits, {name}_bits > 0x80000000u);\n\
                 let {name} = select({name}_signed, 0xffffffffu, ({name}_bits & 0x7fffffffu) > 0x7f800000u);"
            )
        };
    }

    /// Whether the key `one` at `i` stands before the key `other` at `j`.
    fn before(&self, one: &str, i: &str, other: &str, j: &str) -> String {
        let sign = if self.descending { ">" } else { "<" };
        format!("({one} {sign} {other}) | (({one} == {other}) & ({i} < {j}))")
    }

    /// Binds the bits of the keys as `keys`; their place.
    pub(super) fn declare(&self, source: &mut Source) -> Address {
        source.storage(Slot::Read(self.slot), "keys", "u32");
        Address::declare(source, "keys", &self.place)
    }

    /// Appends the coordinates of the line numbered `line`: those of its axis are 0.
    pub(super) fn coordinates(&self, source: &mut Source, body: &mut String) -> Vec<String> {
        let outer: Vec<u32> = self.without_axis(&self.extents);
        let mut coords = coordinates(source, &outer, "line", "l", Width::One, body);
        coords.insert(self.axis, "0u".to_owned());
        coords
    }

    fn without_axis(&self, numbers: &[u32]) -> Vec<u32> {
        numbers.iter().enumerate().filter(|(a, _)| *a != self.axis).map(|(_, n)| *n).collect()
    }
}

/// What a launch leaves: a number in scratch memory, or the results of the specification.
enum End<'a> {
    Scratch(usize),
    Results(&'a Finish),
}

/// The launches of a specification that asks for the order itself.
pub(super) fn ordered(spec: &LineSpec, space: &Space, descending: bool, profile: &Profile) -> Schedule {
    let (element, place) = spec.operands[0].clone();
    let lines = Lines { slot: 0, element, place, extents: spec.extents.clone(), axis: spec.axis, descending };
    let finish = |source: &mut Source| Finish::epilogue(source, space, &spec.epilogue.expr, Width::One);
    if lines.length() <= SHORT {
        let mut source = Source::default();
        let end = finish(&mut source);
        let launch = ranked(source, &lines, lines.length(), &End::Results(&end), profile);
        return Schedule { launches: vec![launch], scratch: Vec::new() };
    }
    let first = ranked(Source::default(), &lines, BLOCK, &End::Scratch(0), profile);
    let mut source = Source::default();
    let end = finish(&mut source);
    let second = merged(source, &lines, 0, &End::Results(&end), profile);
    Schedule { launches: vec![first, second], scratch: vec![(lines.count() * lines.length()) as usize] }
}

/// The launches that leave the order of all lines in a scratch buffer, line by line: the buffers' sizes, of which the
/// last one holds the order.
pub(super) fn in_scratch(lines: &Lines, profile: &Profile) -> (Vec<Launch>, Vec<usize>) {
    let size = (lines.count() * lines.length()) as usize;
    if lines.length() <= SHORT {
        let launch = ranked(Source::default(), lines, lines.length(), &End::Scratch(0), profile);
        return (vec![launch], vec![size]);
    }
    let first = ranked(Source::default(), lines, BLOCK, &End::Scratch(0), profile);
    let second = merged(Source::default(), lines, 0, &End::Scratch(1), profile);
    (vec![first, second], vec![size, size])
}

/// Counts, for each element, those of its block that stand before it.
fn ranked(mut source: Source, lines: &Lines, block: u32, end: &End<'_>, profile: &Profile) -> Launch {
    let keys = lines.declare(&mut source);
    let mut body = String::new();
    items(&mut source, lines, profile, &mut body);
    let coords = lines.coordinates(&mut source, &mut body);
    let block = source.param("block", block);
    lines.key("own", &format!("keys[{}]", keys.at(&moved(&coords, lines.axis, "j"))), &mut body);
    let _ = writeln!(
        body,
        "let first = (j / {block}) * {block};\n\
         let last = min(first + {block}, p.length);\n\
         var rank = first;\n\
         for (var i = first; i < last; i += 1u) {{"
    );
    lines.key("other", &format!("keys[{}]", keys.at(&moved(&coords, lines.axis, "i"))), &mut body);
    let before = lines.before("other", "i", "own", "j");
    let _ = writeln!(body, "rank += select(0u, 1u, {before});\n}}");
    finished(source, lines, &coords, "j", end, profile, "rank of each element", body)
}

/// Merges the ordered blocks: the place of an element is the sum of its places in all of them.
fn merged(mut source: Source, lines: &Lines, from: usize, end: &End<'_>, profile: &Profile) -> Launch {
    let keys = lines.declare(&mut source);
    source.storage(Slot::Scratch(from), "blocks", "u32");
    let mut body = String::new();
    items(&mut source, lines, profile, &mut body);
    let coords = lines.coordinates(&mut source, &mut body);
    let _ = writeln!(
        body,
        "let begin = line * p.length;\n\
         let element = blocks[begin + j];"
    );
    lines.key("own", &format!("keys[{}]", keys.at(&moved(&coords, lines.axis, "element"))), &mut body);
    let _ = writeln!(
        body,
        "let home = (j / {BLOCK}u) * {BLOCK}u;\n\
         var rank = j - home;\n\
         for (var first = 0u; first < p.length; first += {BLOCK}u) {{\n\
         if (first != home) {{\n\
         var low = first;\n\
         var high = min(first + {BLOCK}u, p.length);\n\
         while (low < high) {{\n\
         let middle = (low + high) >> 1u;\n\
         let i = blocks[begin + middle];"
    );
    lines.key("other", &format!("keys[{}]", keys.at(&moved(&coords, lines.axis, "i"))), &mut body);
    let before = lines.before("other", "i", "own", "element");
    let _ = writeln!(
        body,
        "if ({before}) {{ low = middle + 1u; }} else {{ high = middle; }}\n\
         }}\n\
         rank += low - first;\n\
         }}\n}}"
    );
    finished(source, lines, &coords, "element", end, profile, "merge of ordered blocks", body)
}

/// Appends `line` and `j`, the place in it, of each invocation.
fn items(source: &mut Source, lines: &Lines, profile: &Profile, body: &mut String) {
    let workgroup = workgroup(profile);
    source.param("items", lines.count() * lines.length());
    source.param("length", lines.length());
    let _ = writeln!(
        body,
        "let item = group * {workgroup}u + local.x;\n\
         if (item >= p.items) {{ return; }}\n\
         let line = item / p.length;\n\
         let j = item - line * p.length;"
    );
}

#[allow(clippy::too_many_arguments)]
fn finished(
    mut source: Source,
    lines: &Lines,
    coords: &[String],
    element: &str,
    end: &End<'_>,
    profile: &Profile,
    name: &str,
    mut body: String,
) -> Launch {
    match end {
        End::Scratch(scratch) => {
            source.storage(Slot::Scratch(*scratch), "order", "u32");
            let _ = writeln!(body, "order[line * p.length + rank] = {element};");
        }
        End::Results(finish) => {
            let _ = writeln!(body, "let value = bitcast<i32>({element});");
            finish.apply(&moved(coords, lines.axis, "rank"), "value", &mut body);
        }
    }
    let workgroup = workgroup(profile);
    let groups = (lines.count() * lines.length()).div_ceil(workgroup);
    source.launch(name.to_owned(), &Shape { workgroup: [workgroup, 1], groups }, &body)
}
