//! Several tensors of a launch in one binding: where a device has fewer storage buffers than a launch has tensors, those
//! that lie in one memory are bound once, and found from where each begins in it.
//!
//! Elements keep the type that the kernel reads and writes them in, so a memory takes a binding for each type. Where a
//! tensor begins is a parameter: launches that differ in it alone share their kernel.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::kernel::{Binding, Kernel, Launch};
use crate::schedule::ENABLE;

/// A launch whose bindings hold several tensors each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The kernel.
    pub kernel: Kernel,
    /// For each of the kernel's bindings the places among `slots` of the launch that it holds.
    pub held: Vec<Vec<usize>>,
    /// Where each tensor that is held with others begins.
    pub begins: Vec<Begin>,
    params: Vec<u32>,
}

/// A parameter that says where a tensor begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The parameter's place.
    pub param: usize,
    /// The tensor's place among `slots` of the launch.
    pub slot: usize,
    /// The unit in which it counts, in bytes.
    pub unit: u64,
}

impl Shared {
    /// The parameter words, where the tensor at each place among the slots begins so many bytes into its binding.
    ///
    /// # Panics
    /// If a tensor does not begin at a whole number of units, or lies beyond 2^32 of them.
    #[must_use]
    pub fn params(&self, begin: impl Fn(usize) -> u64) -> Vec<u32> {
        let mut params = self.params.clone();
        for &Begin { param, slot, unit } in &self.begins {
            let bytes = begin(slot);
            assert!(bytes.is_multiple_of(unit), "a tensor begins at a whole element");
            params[param] = u32::try_from(bytes / unit).expect("a binding has fewer than 2^32 elements");
        }
        params
    }
}

/// A storage binding as a kernel's text declares it.
struct Declared<'a> {
    name: &'a str,
    ty: &'a str,
}

/// The launch with the slots of each memory in one binding a type; `memories[i]` is that of slot `i`, `None` for one that
/// keeps its own binding.
///
/// # Panics
/// If the kernel's text is not that of a schedule.
#[must_use]
pub fn share(launch: &Launch, memories: &[Option<usize>]) -> Shared {
    let text = &launch.kernel.wgsl;
    let declared = declarations(text, launch.kernel.bindings.len());
    let mut alike: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (slot, memory) in memories.iter().enumerate() {
        if let (Some(memory), Some(declared)) = (memory, &declared[slot]) {
            alike.entry((*memory, declared.ty)).or_default().push(slot);
        }
    }
    alike.retain(|_, slots| slots.len() > 1);
    let group_of = |slot: usize| alike.values().find(|slots| slots.contains(&slot));
    let firsts: Vec<usize> =
        (0..declared.len()).filter(|slot| group_of(*slot).is_none_or(|slots| slots[0] == *slot)).collect();
    let held: Vec<Vec<usize>> =
        firsts.iter().map(|&slot| group_of(slot).cloned().unwrap_or_else(|| vec![slot])).collect();
    let names: BTreeMap<&str, String> = held
        .iter()
        .enumerate()
        .filter(|(_, slots)| slots.len() > 1)
        .flat_map(|(binding, slots)| slots.iter().map(move |&slot| (slot, format!("memory{binding}"))))
        .filter_map(|(slot, memory)| declared[slot].as_ref().map(|one| (one.name, memory)))
        .collect();
    let params = Params::with_begins(launch, &held, &declared);
    let mut wgsl = if launch.kernel.needs_f16() { ENABLE.to_owned() } else { String::new() };
    wgsl.push_str(&params.text());
    for (binding, slots) in held.iter().enumerate() {
        let number = binding + 1;
        match &declared[slots[0]] {
            Some(Declared { name, ty }) => {
                let name = names.get(name).map_or(*name, String::as_str);
                let _ = writeln!(
                    wgsl,
                    "@group(0) @binding({number}) var<storage, read_write> {name}: array<{ty}>;"
                );
            }
            None => {
                let host = text.lines().find(|line| is_binding(line) && line.contains("var<uniform> host"));
                let (_, ty) = host.and_then(|line| line.split_once(": ")).expect("the host block is bound");
                let _ = writeln!(wgsl, "@group(0) @binding({number}) var<uniform> host: {ty}");
            }
        }
    }
    let (_, module) = text.split_once("}\n").expect("parameters come first");
    for line in module.lines().filter(|line| !is_binding(line)) {
        wgsl.push_str(&redirected(line, &names));
        wgsl.push('\n');
    }
    let bindings = held.iter().map(|slots| launch.kernel.bindings[slots[0]]).collect();
    Shared {
        kernel: Kernel {
            name: launch.kernel.name.clone(),
            wgsl,
            workgroup: launch.kernel.workgroup,
            bindings,
            params: params.words.iter().map(|(name, _)| name.clone()).collect(),
        },
        held,
        begins: params.begins,
        params: params.words.into_iter().map(|(_, word)| word).collect(),
    }
}

/// How many storage buffers a kernel binds.
#[must_use]
pub fn storage_buffers(kernel: &Kernel) -> usize {
    kernel.bindings.iter().filter(|binding| **binding == Binding::Storage).count()
}

fn is_binding(line: &str) -> bool {
    line.starts_with("@group(0) @binding(")
}

/// The storage bindings that a text declares, by their place after the parameters.
fn declarations(text: &str, count: usize) -> Vec<Option<Declared<'_>>> {
    let mut declared: Vec<Option<Declared<'_>>> = (0..count).map(|_| None).collect();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("@group(0) @binding(") else { continue };
        let storage = rest.split_once(") var<storage, read_write> ");
        let Some((number, (name, ty))) =
            storage.and_then(|(n, rest)| Some((n, rest.split_once(": array<")?)))
        else {
            continue;
        };
        let place = number.parse::<usize>().expect("a binding has a number") - 1;
        declared[place] = ty.strip_suffix(">;").map(|ty| Declared { name, ty });
    }
    declared
}

/// The parameters of a launch, by name.
struct Params {
    words: Vec<(String, u32)>,
    begins: Vec<Begin>,
}

impl Params {
    fn with_begins(launch: &Launch, held: &[Vec<usize>], declared: &[Option<Declared<'_>>]) -> Params {
        let words = launch.kernel.params.iter().cloned().zip(launch.params.iter().copied());
        let mut words: Vec<(String, u32)> = words.filter(|(name, _)| !name.starts_with("unused_")).collect();
        let mut begins = Vec::new();
        for &slot in held.iter().filter(|slots| slots.len() > 1).flatten() {
            let Some(Declared { name, ty }) = &declared[slot] else { continue };
            let unit = if ty.contains("f16") { 2 } else { 4 } * if ty.starts_with("vec4") { 4 } else { 1 };
            begins.push(Begin { param: words.len(), slot, unit });
            words.push((format!("{name}_begin"), 0));
        }
        while !words.len().is_multiple_of(4) {
            words.push((format!("unused_{}", words.len()), 0));
        }
        Params { words, begins }
    }

    fn text(&self) -> String {
        let mut text = String::from("struct Params {\n");
        for (name, _) in &self.words {
            let _ = writeln!(text, "  {name}: u32,");
        }
        text.push_str("}\n@group(0) @binding(0) var<uniform> p: Params;\n");
        text
    }
}

/// A line in which each element of a tensor of `names` is one of the memory that it lies in.
fn redirected(line: &str, names: &BTreeMap<&str, String>) -> String {
    let mut out = String::with_capacity(line.len());
    // For each open bracket whether it is closed by one more parenthesis.
    let mut open: Vec<bool> = Vec::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let length =
            if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (token, after) = rest.split_at(length);
        rest = after;
        match (token, names.get(token)) {
            (_, Some(memory)) if after.starts_with('[') && !out.ends_with('.') => {
                rest = &after[1..];
                let _ = write!(out, "{memory}[p.{token}_begin + (");
                open.push(true);
            }
            ("[", _) => {
                out.push('[');
                open.push(false);
            }
            ("]", _) => out.push_str(if open.pop() == Some(true) { ")]" } else { "]" }),
            _ => out.push_str(token),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Place, Read, Write};
    use crate::element::{Element, Scalar};
    use crate::expr::{Binary, Expr};
    use crate::profile::Profile;
    use crate::schedule::{MapSpec, map};
    use crate::validate::validate;

    /// The sum of so many tensors of 8 elements, of which the first is read backwards.
    fn sum(count: usize) -> Launch {
        let place = |turned: bool| Place {
            offset: if turned { 7 } else { 0 },
            strides: vec![if turned { -1 } else { 1 }],
        };
        let read = |k| Read::Buffer { element: Element::F32, place: place(k == 0) };
        let spec = MapSpec {
            extents: vec![8],
            reads: (0..count).map(read).collect(),
            expr: Expr::build(&vec![Scalar::F32; count], |b, x| {
                x[1..].iter().fold(x[0], |sum, &one| b.binary(Binary::Add, sum, one))
            }),
            writes: vec![Write { element: Element::F32, place: place(false) }],
        };
        let profile = Profile::named("webgpu-default").unwrap();
        map(&spec, &profile).launches.remove(0)
    }

    #[test]
    fn tensors_of_one_memory_and_type_share_a_binding() {
        let launch = sum(12);
        assert_eq!(storage_buffers(&launch.kernel), 13);
        let mut memories = vec![Some(0); 13];
        memories[3] = None;
        memories[5] = Some(1);
        let shared = share(&launch, &memories);
        validate(&shared.kernel).unwrap();
        assert_eq!(
            storage_buffers(&shared.kernel),
            4,
            "one read element by element, two apart, and the rest"
        );
        let mut all: Vec<usize> = shared.held.concat();
        all.sort_unstable();
        assert_eq!(all, (0..13).collect::<Vec<usize>>());
        assert_eq!(shared.begins.len(), 10);
        assert!(shared.begins.iter().all(|begin| begin.unit == 16));
    }

    #[test]
    fn words_say_where_each_tensor_begins() {
        let launch = sum(12);
        let shared = share(&launch, &[Some(0); 13]);
        let words = shared.params(|slot| slot as u64 * 256);
        assert_eq!(words.len(), shared.kernel.params.len());
        for begin in &shared.begins {
            assert_eq!(u64::from(words[begin.param]) * begin.unit, begin.slot as u64 * 256);
        }
        let kept =
            launch.kernel.params.iter().zip(&launch.params).filter(|(name, _)| !name.starts_with("unused"));
        for (name, word) in kept {
            let place = shared.kernel.params.iter().position(|known| known == name).unwrap();
            assert_eq!(words[place], *word, "{name}");
        }
    }

    #[test]
    fn an_index_read_from_memory_is_redirected_too() {
        let names = BTreeMap::from([("keys", "memory0".to_owned()), ("x", "memory1".to_owned())]);
        let found = redirected("let a = x[keys[(i) >> 2u]] + y.x[1] + xs[2];", &names);
        assert_eq!(
            found,
            "let a = memory1[p.x_begin + (memory0[p.keys_begin + ((i) >> 2u)])] + y.x[1] + xs[2];"
        );
    }
}
