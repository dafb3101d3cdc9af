//! Which rewrites a pipeline makes: all, unless some are left out.

use std::collections::BTreeMap;

use super::Pipeline;

/// How much of each unit of a pipeline is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The most rewrites of a unit; all of a unit that is not here.
    limits: BTreeMap<String, usize>,
}

/// Why something cannot be selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing of this name.
    #[error("there is no pass `{name}`; there are: {known}")]
    Unknown {
        /// What was named.
        name: String,
        /// All names.
        known: String,
    },
    /// Nothing can do without it.
    #[error("`{name}` cannot be left out: {why}; {instead}")]
    Needed {
        /// The pass.
        name: String,
        /// Why it is needed.
        why: &'static str,
        /// What can be left out of it.
        instead: String,
    },
    /// What follows the colon is no number.
    #[error("`{0}` is no number of rewrites; write NAME or NAME:NUMBER, such as `algebra.1:17`")]
    Number(String),
}

impl Selection {
    /// The most rewrites of the unit of this name; `None` where all are made.
    #[must_use]
    pub fn limit(&self, unit: &str) -> Option<usize> {
        self.limits.get(unit).copied()
    }

    /// The selection without the unit of this name.
    #[must_use]
    pub fn without(mut self, unit: &str) -> Selection {
        self.limits.insert(unit.to_owned(), 0);
        self
    }

    /// The first `count` units alone, and of the last of them at most `rewrites`.
    #[must_use]
    pub fn first(pipeline: &Pipeline, count: usize, rewrites: Option<usize>) -> Selection {
        let units = pipeline.units();
        let (kept, left_out) = units.split_at(count.min(units.len()));
        let selection =
            left_out.iter().fold(Selection::default(), |selection, unit| selection.without(&unit.name));
        match (kept.last(), rewrites) {
            (Some(last), Some(rewrites)) => {
                let mut limits = selection.limits;
                limits.insert(last.name.clone(), rewrites);
                Selection { limits }
            }
            _ => selection,
        }
    }

    /// Everything but what `skip` names, and nothing after what `until` names: a run, a part of a pass, or a pass,
    /// which is all its runs. `until` may end in `:NUMBER`, the most rewrites of the last unit.
    ///
    /// # Errors
    /// If a name is unknown, or nothing can do without what it names.
    pub fn parse(pipeline: &Pipeline, skip: &[String], until: Option<&str>) -> Result<Selection, Refused> {
        let mut selection = Selection::default();
        if let Some(until) = until {
            let (name, rewrites) = match until.split_once(':') {
                Some((name, number)) => {
                    let rewrites = number.parse().map_err(|_| Refused::Number(number.to_owned()))?;
                    (name, Some(rewrites))
                }
                None => (until, None),
            };
            let last = places(pipeline, name)?.last().copied().unwrap_or(0);
            selection = Selection::first(pipeline, last + 1, rewrites);
        }
        let units = pipeline.units();
        for name in skip {
            for place in places(pipeline, name)? {
                selection = selection.without(&units[place].name);
            }
        }
        Ok(selection)
    }
}

/// The places among the units of what a name stands for; not empty.
fn places(pipeline: &Pipeline, name: &str) -> Result<Vec<usize>, Refused> {
    let units = pipeline.units();
    let named = |unit: &str| {
        let of_pass = pipeline.runs().iter().any(|run| run.name == unit && run.pass.name == name);
        unit == name || of_pass
    };
    let found: Vec<usize> = (0..units.len()).filter(|place| named(&units[*place].name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let needed = pipeline.runs().iter().find(|run| run.name == name || run.pass.name == name);
    Err(match needed.and_then(|run| Some((run, run.pass.needed?))) {
        Some((run, why)) => {
            let parts: Vec<&str> = run.pass.parts.iter().map(|part| part.name()).collect();
            let instead = match parts.is_empty() {
                true => "leave out another one".to_owned(),
                false => format!("leave out parts of it: {}", parts.join(", ")),
            };
            Refused::Needed { name: name.to_owned(), why, instead }
        }
        None => {
            let known: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
            Refused::Unknown { name: name.to_owned(), known: known.join(", ") }
        }
    })
}
