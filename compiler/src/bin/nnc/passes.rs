//! What the commands share that leave passes out or measure them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nnc::ir::Graph;
use nnc::passes::{Pipeline, Refused, Selection};
use nnc::program::{Step, artifact_selected};
use nnc::source::Sources;
use nnc_runtime::artifact::Role;
use nnc_wgsl::Profile;
use serde_json::json;

use crate::failure::Failure;
use crate::output;

/// Which rewrites the passes make.
#[derive(Debug, clap::Args)]
pub(crate) struct PassArguments {
    /// Leaves a pass out, or a part of one; `nnc build FILE --passes` lists them. May be given several times.
    #[arg(long, value_name = "PASS")]
    skip: Vec<String>,
    /// Leaves out what comes after this pass, as far as kernels can do without; `PASS:NUMBER` also its rewrites after
    /// so many.
    #[arg(long, value_name = "PASS")]
    until: Option<String>,
}

impl PassArguments {
    /// What is to be done.
    pub(crate) fn selection(&self) -> Result<Selection, Failure> {
        Ok(Selection::parse(&Pipeline::default(), &self.skip, self.until.as_deref())?)
    }
}

/// The names of the runs that a name of a pass or of a run stands for.
pub(crate) fn runs_of(name: &str) -> Result<Vec<String>, Failure> {
    let pipeline = Pipeline::default();
    let named = pipeline.runs().iter().filter(|run| run.name == name || run.pass.name == name);
    let found: Vec<String> = named.map(|run| run.name.clone()).collect();
    if found.is_empty() {
        let names: Vec<&str> = pipeline.runs().iter().map(|run| run.name.as_str()).collect();
        return Err(Refused::Unknown { name: name.to_owned(), known: names.join(", ") }.into());
    }
    Ok(found)
}

/// The steps of compiling one program, with the time that each takes.
#[derive(Debug)]
pub(crate) struct Watch {
    role: Role,
    last: Instant,
    steps: Vec<Measured>,
    /// The graph that the passes begin with.
    given: Option<Graph>,
}

/// A step of compiling.
#[derive(Debug)]
struct Measured {
    name: String,
    time: Duration,
    /// The values before and after it.
    nodes: (usize, usize),
}

impl Watch {
    /// A watch that begins now, for the program of this role.
    pub(crate) fn new(role: Role) -> Watch {
        Watch { role, last: Instant::now(), steps: Vec::new(), given: None }
    }

    /// Takes note of a graph on its way.
    pub(crate) fn see(&mut self, role: Role, step: &Step<'_>, graph: &Graph) {
        if role != self.role {
            return;
        }
        let name = match step {
            Step::Before(_) => None,
            Step::Elaborated => Some("elaborate"),
            Step::Differentiated => Some("gradients"),
            Step::Optimized(run) => Some(run.name.as_str()),
            Step::Lowered => Some("lower"),
            Step::Planned => Some("plan"),
            Step::Assembled => Some("assemble"),
        };
        if let Some(name) = name {
            self.add(name, graph.len());
        }
        if matches!(step, Step::Elaborated | Step::Differentiated) {
            self.given = Some(graph.clone());
        }
        self.last = Instant::now();
    }

    fn add(&mut self, name: &str, nodes: usize) {
        let time = self.last.elapsed();
        let before = self.steps.last().map_or(0, |step| step.nodes.1);
        match self.steps.iter_mut().find(|step| step.name == name) {
            Some(step) => step.time += time,
            None => self.steps.push(Measured { name: name.to_owned(), time, nodes: (before, nodes) }),
        }
    }
}

/// What a program is with a part of the rewrites.
#[derive(Clone, Copy, Debug)]
struct Size {
    dispatches: usize,
    arena_bytes: u64,
}

/// A line of the table: a step, or what can be left out.
struct Row {
    name: String,
    about: &'static str,
    measured: Option<(f64, usize, usize)>,
    /// Where the pipeline ends with it, and where it alone is left out.
    sizes: Option<(Size, Size)>,
}

/// The passes of the watched program: time, values, and what each saves.
pub(crate) struct Passes {
    rows: Vec<Row>,
    /// With nothing that can be left out.
    least: Size,
    all: Size,
}

/// Compiles the watched program with the passes up to each, and without each.
pub(crate) fn measured(watch: Watch, sources: &Sources, batch: usize, profile: &Profile) -> Option<Passes> {
    let Watch { role, steps, given, .. } = watch;
    let given = given?;
    let pipeline = Pipeline::default();
    let size = |selection: &Selection| {
        let (_, artifact) = artifact_selected(given.clone(), sources, batch, role, profile, selection);
        let program = artifact.program(role).expect("the program was built");
        Size { dispatches: program.dispatches.len(), arena_bytes: program.arenas.iter().sum() }
    };
    let units = pipeline.units();
    let mut sizes: BTreeMap<&str, (Size, Size)> = BTreeMap::new();
    for (place, unit) in units.iter().enumerate() {
        let upto = size(&Selection::first(&pipeline, place + 1, None));
        sizes.insert(&unit.name, (upto, size(&Selection::default().without(&unit.name))));
    }
    let mut rows = Vec::new();
    let part_row = |name: &str| {
        let unit = units.iter().find(|unit| unit.name == name)?;
        let sizes = sizes.get(name).copied();
        Some(Row { name: unit.name.clone(), about: unit.about, measured: None, sizes })
    };
    for step in steps {
        let run = pipeline.runs().iter().find(|run| run.name == step.name);
        rows.push(Row {
            about: run.map_or("", |run| run.pass.about),
            measured: Some((step.time.as_secs_f64() * 1e3, step.nodes.0, step.nodes.1)),
            sizes: sizes.get(step.name.as_str()).copied(),
            name: step.name.clone(),
        });
        let parts = units.iter().filter(|unit| unit.name.starts_with(&format!("{}.", step.name)));
        let is_run = |name: &str| pipeline.runs().iter().any(|run| run.name == name);
        rows.extend(parts.filter(|unit| !is_run(&unit.name)).filter_map(|unit| part_row(&unit.name)));
    }
    let least = size(&Selection::first(&pipeline, 0, None));
    Some(Passes { rows, least, all: size(&Selection::default()) })
}

impl Passes {
    /// The table for people.
    pub(crate) fn text(&self) -> String {
        let heading = ["pass", "ms", "values", "dispatches", "without", "arenas", "without", ""];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        let with = |size: Size| [size.dispatches.to_string(), output::size(size.arena_bytes)];
        let [dispatches, arenas] = with(self.least);
        let nothing = ["with nothing of it", "", "", &dispatches, "", &arenas, "", ""];
        rows.push(nothing.map(str::to_owned).to_vec());
        for row in &self.rows {
            let (ms, values) = row.measured.map_or_else(Default::default, |(ms, before, after)| {
                let values = if before == after { after.to_string() } else { format!("{before} > {after}") };
                (format!("{ms:.1}"), values)
            });
            let [upto, without] = match row.sizes {
                Some((upto, without)) => [with(upto), with(without)],
                None => Default::default(),
            };
            let [upto_dispatches, upto_arenas] = upto;
            let [dispatches, arenas] = without;
            let name = row.name.clone();
            let about = row.about.to_owned();
            rows.push(vec![name, ms, values, upto_dispatches, dispatches, upto_arenas, arenas, about]);
        }
        let [dispatches, arenas] = with(self.all);
        rows.push(["all of it", "", "", &dispatches, "", &arenas, "", ""].map(str::to_owned).to_vec());
        output::table(&rows, &[1, 2, 3, 4, 5, 6])
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let size = |size: Size| json!({ "dispatches": size.dispatches, "arena_bytes": size.arena_bytes });
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "pass": row.name,
                    "ms": row.measured.map(|(ms, ..)| ms),
                    "values_before": row.measured.map(|(_, before, _)| before),
                    "values_after": row.measured.map(|(.., after)| after),
                    "up_to": row.sizes.map(|(upto, _)| size(upto)),
                    "without": row.sizes.map(|(_, without)| size(without)),
                })
            })
            .collect();
        json!({ "least": size(self.least), "all": size(self.all), "passes": rows })
    }
}
