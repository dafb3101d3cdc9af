//! Which kernels compute a line, what is fused into them, and why kernels that read from one another are apart.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use super::words::listed;
use super::{FactKind, KernelAccount, Place, Teller, traffic};
use crate::ir::NodeId;
use crate::passes::{Anchor, Separate, why_separate};

/// Sources of one kernel that are named; a kernel with more of them names the first.
const NAMED: usize = 3;

impl Teller<'_> {
    pub(super) fn kernels(&mut self, profile: &Profile) {
        let traffic = traffic(self.built);
        let mut first = 0;
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            let members = &stage.cluster.members;
            let home = members.iter().find_map(|member| self.line(*member));
            let (dispatches, bytes) = (traffic[kernel].len(), traffic[kernel].iter().sum());
            if let Some(home) = home {
                let account = KernelAccount { number: kernel, first, dispatches, bytes };
                self.kernels.entry(home).or_default().push(account);
            }
            first += dispatches;
            let names = listed(members.iter().map(|member| self.name(*member)));
            if stage.work.is_empty() {
                let text = format!("k{kernel} launches nothing: the parts of {names} are written in place");
                self.tell(home, FactKind::Kernel, text);
                continue;
            }
            let once = if kernel < self.built.lowered.settled { ", once for weights that stay" } else { "" };
            self.tell(home, FactKind::Kernel, format!("k{kernel} computes {names} ({}){once}", stage.label));
            let mut elsewhere: BTreeMap<Place, Vec<String>> = BTreeMap::new();
            for member in members {
                if let Some(line) = self.line(*member).filter(|line| Some(*line) != home) {
                    elsewhere.entry(line).or_default().push(self.name(*member));
                }
            }
            for (line, names) in elsewhere {
                let text = format!("{} in k{kernel}{}", listed(names), self.at(home, line));
                self.tell(Some(line), FactKind::Fused, text);
            }
        }
        self.separations(profile);
    }

    /// ` of line 5`, where that is another one than `line`.
    fn at(&self, home: Option<Place>, line: Place) -> String {
        match home {
            Some((file, number)) if file == line.0 => format!(", line {}", number + 1),
            Some((file, number)) => format!(", {}:{}", self.sources.source(file).path(), number + 1),
            None => String::new(),
        }
    }

    /// For each kernel those that it reads from, and why it is not one with them.
    fn separations(&mut self, profile: &Profile) {
        let lowered = &self.built.lowered;
        let homes: BTreeMap<NodeId, usize> = lowered
            .stages
            .iter()
            .enumerate()
            .flat_map(|(kernel, stage)| stage.cluster.members.iter().map(move |member| (*member, kernel)))
            .collect();
        // What a concat or a pack does with its operands is told where they are copied.
        let computes = |kernel: &usize| !matches!(lowered.stages[*kernel].cluster.anchor, Anchor::Move(_));
        let works = |kernel: &usize| !lowered.stages[*kernel].work.is_empty();
        let mut pairs: BTreeMap<(usize, usize), (NodeId, NodeId)> = BTreeMap::new();
        for (reader, kernel) in homes.iter().filter(|(_, kernel)| computes(kernel)) {
            for operand in self.graph().operands(*reader) {
                let base = lowered.layouts[&operand].base;
                if let Some(producer) = homes.get(&base).filter(|it| *it != kernel && works(it)) {
                    pairs.entry((*kernel, *producer)).or_insert((base, *reader));
                }
            }
        }
        let asked: Vec<(NodeId, NodeId)> = pairs.values().copied().collect();
        let mut told: BTreeMap<usize, usize> = BTreeMap::new();
        let mut found: Vec<(Place, String, String)> = Vec::new();
        let reasons = why_separate(self.graph(), profile, &asked);
        for (((kernel, producer), (value, reader)), reason) in pairs.into_iter().zip(reasons) {
            let told = told.entry(kernel).or_default();
            let members = &lowered.stages[kernel].cluster.members;
            let home = members.iter().find_map(|member| self.line(*member));
            if let Some(home) = home.filter(|_| *told < NAMED) {
                *told += 1;
                let between = match reason {
                    Separate::Around(between) => format!(" by way of k{between}"),
                    _ => String::new(),
                };
                let pair = format!("k{kernel} from k{producer}{between}");
                found.push((home, self.reason(reason, value, reader), pair));
            }
        }
        self.tell_grouped(FactKind::Apart, found);
    }
}
