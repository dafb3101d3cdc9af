//! What an executor may rely on, checked once.
//!
//! Every index is in range, every area lies inside its buffer at a place that can be bound, every dispatch
//! gives its kernel what it takes, every step its specification all the memory that it touches, every formula is well
//! formed. Code that executes an artifact checks nothing.

use std::collections::HashSet;

use nnc_wgsl::schedule::{Stretch, Touched};
use nnc_wgsl::{Binding, Element, Expr, HOST_FIRST_FREE, HOST_SLOTS, Kernel, Term};

use crate::artifact::{
    Area, Artifact, Bound, Buffer, Dispatch, HostScalar, Init, Load, Port, Program, Step, Stored, Written,
};

/// The multiple that areas begin at, in bytes.
pub const ALIGNMENT: u64 = 256;

/// An artifact whose parts do not fit together: an error of what wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the artifact is inconsistent: {what}; compile it again")]
pub struct Invalid {
    /// Which part, and why.
    pub what: String,
}

impl Artifact {
    /// Checks everything that executing the artifact relies on.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn validate(&self) -> Result<(), Invalid> {
        for region in &self.regions {
            whole_words(region.bytes).map_err(|e| e.within(&format!("the region `{}`", region.name)))?;
        }
        let mut paths = HashSet::new();
        for tensor in &self.tensors {
            self.validate_stored(tensor).map_err(|e| e.within(&format!("the tensor `{}`", tensor.path)))?;
            ensure(paths.insert(&tensor.path), || format!("two tensors are named `{}`", tensor.path))?;
        }
        let seed = self.training.as_ref().map_or(0, |training| training.seed);
        ensure(u32::try_from(seed).is_ok(), || format!("the seed {seed} has more than 32 bits"))?;
        let mut works = Vec::with_capacity(self.works.len());
        for (place, work) in self.works.iter().enumerate() {
            works.push(work.touched().map_err(|what| invalid(format!("the work {place}: {what}")))?);
        }
        let mut roles = HashSet::new();
        for program in &self.programs {
            ensure(roles.insert(program.role), || format!("there are two `{}` programs", program.role))?;
            self.validate_program(program, &works)
                .map_err(|e| e.within(&format!("the `{}` program", program.role)))?;
        }
        for kernel in &self.kernels {
            validate_kernel(kernel).map_err(|e| e.within(&format!("the kernel `{}`", kernel.name)))?;
        }
        Ok(())
    }

    fn validate_stored(&self, tensor: &Stored) -> Result<(), Invalid> {
        let region = self.regions.get(tensor.region);
        let region = region.ok_or_else(|| invalid(format!("there is no region {}", tensor.region)))?;
        let bytes = bytes_of(tensor.element, &tensor.shape)?;
        ensure(tensor.offset.is_multiple_of(4), || format!("the offset {} is odd", tensor.offset))?;
        inside(tensor.offset, bytes, region.bytes)?;
        let count: usize = tensor.shape.iter().product();
        match &tensor.init {
            Init::Values(values) => ensure(values.len() == count, || {
                format!("its shape has {count} elements, its first value {}", values.len())
            }),
            Init::Given { offset } => {
                ensure(offset.is_multiple_of(4), || format!("its first value begins at {offset}"))?;
                inside(*offset, bytes, self.values.len() as u64)
            }
            Init::Orthogonal { .. } => {
                ensure(!tensor.shape.is_empty(), || "a single number is not orthogonal".to_owned())
            }
            Init::Constant(_) | Init::Uniform { .. } | Init::Normal { .. } => Ok(()),
        }
    }

    fn validate_program(&self, program: &Program, works: &[Touched]) -> Result<(), Invalid> {
        ensure(program.batch > 0, || "its batch is 0".to_owned())?;
        for (ports, bytes) in
            [(&program.inputs, program.input_bytes), (&program.outputs, program.output_bytes)]
        {
            let mut names = HashSet::new();
            for port in ports {
                validate_port(port, program.batch, bytes)
                    .map_err(|e| e.within(&format!("`{}`", port.name)))?;
                ensure(names.insert(&port.name), || format!("two ports are named `{}`", port.name))?;
            }
        }
        disjoint(&program.inputs)?;
        for scalar in &program.scalars {
            validate_scalar(scalar).map_err(|e| e.within(&format!("the host scalar {}", scalar.slot)))?;
        }
        for (place, dispatch) in program.dispatches.iter().enumerate() {
            let within = || format!("dispatch {place} (`{}`)", dispatch.label);
            self.validate_dispatch(program, dispatch).map_err(|e| e.within(&within()))?;
        }
        let mut next = 0;
        for (place, step) in program.steps.iter().enumerate() {
            let within = |e: Invalid| e.within(&format!("step {place}"));
            let whole = step.dispatches.start == next && step.dispatches.end > next;
            ensure(whole, || format!("it is the dispatches {:?}", step.dispatches)).map_err(within)?;
            next = step.dispatches.end;
            self.validate_step(program, step, works).map_err(within)?;
        }
        let dispatches = program.dispatches.len();
        ensure(next == dispatches, || format!("its steps are {next} of {dispatches} dispatches"))?;
        self.validate_loads(program)?;
        ensure(program.settled <= program.dispatches.len(), || {
            format!("{} of {} dispatches are settled", program.settled, program.dispatches.len())
        })?;
        let within =
            |step: &Step| step.dispatches.start < program.settled && program.settled < step.dispatches.end;
        ensure(!program.steps.iter().any(within), || "a part of a step is settled".to_owned())?;
        ensure(program.settled == 0 || program.loads.is_empty(), || {
            "what is computed of weights that come and go is not settled".to_owned()
        })?;
        for (from, to) in &program.copies {
            self.validate_area(program, from)?;
            self.validate_area(program, to)?;
            ensure(from.bytes == to.bytes, || format!("{} bytes are copied to {}", from.bytes, to.bytes))?;
            ensure(from.buffer != to.buffer, || format!("a copy within {:?}", from.buffer))?;
        }
        Ok(())
    }

    fn validate_dispatch(&self, program: &Program, dispatch: &Dispatch) -> Result<(), Invalid> {
        let kernel = self.kernels.get(dispatch.kernel);
        let kernel = kernel.ok_or_else(|| invalid(format!("there is no kernel {}", dispatch.kernel)))?;
        ensure(dispatch.params.len() == kernel.params.len(), || {
            format!("{} parameters for {}", dispatch.params.len(), kernel.params.len())
        })?;
        ensure(dispatch.bindings.len() == kernel.bindings.len(), || {
            format!("{} bindings for {}", dispatch.bindings.len(), kernel.bindings.len())
        })?;
        for (bound, binding) in dispatch.bindings.iter().zip(&kernel.bindings) {
            match (bound, binding) {
                (Bound::Area(area), Binding::Storage) => self.validate_area(program, area)?,
                (Bound::Host, Binding::Host) => {}
                (Bound::Area(_), Binding::Host) | (Bound::Host, Binding::Storage) => {
                    return Err(invalid(format!("{bound:?} is bound as {binding:?}")));
                }
            }
        }
        ensure(dispatch.workgroups.iter().all(|n| (1..=65_535).contains(n)), || {
            format!("a grid of {:?} workgroups", dispatch.workgroups)
        })?;
        for Written { area, what, .. } in &dispatch.writes {
            ensure(!matches!(area.buffer, Buffer::Window(_)), || {
                format!("`{what}` is written over weights")
            })?;
            self.validate_area(program, area).map_err(|e| e.within(&format!("`{what}`")))?;
        }
        Ok(())
    }

    fn validate_step(&self, program: &Program, step: &Step, works: &[Touched]) -> Result<(), Invalid> {
        let work = works.get(step.work).ok_or_else(|| invalid(format!("there is no work {}", step.work)))?;
        let alike = work.reads.len() == step.reads.len() && work.writes.len() == step.writes.len();
        ensure(alike, || "its work reads and writes other tensors".to_owned())?;
        let holds = |area: &Area, stretch: &Stretch| {
            self.validate_area(program, area)?;
            inside(0, stretch.bytes(), area.bytes)
        };
        for (read, stretch) in step.reads.iter().zip(&work.reads) {
            if let (Some(area), Some(stretch)) = (read, stretch) {
                holds(area, stretch)?;
            }
        }
        for (area, stretch) in step.writes.iter().zip(&work.writes) {
            ensure(!matches!(area.buffer, Buffer::Window(_)), || "it writes over weights".to_owned())?;
            holds(area, stretch)?;
        }
        let used = self.works[step.work].used();
        let missing = step
            .reads
            .iter()
            .zip(&work.reads)
            .zip(used)
            .any(|((read, stretch), used)| used && stretch.is_some() && read.is_none());
        ensure(!missing, || "it reads what is not there".to_owned())
    }

    /// Whatever a dispatch binds of a window is a tensor that was loaded there, with nothing loaded over it since.
    fn validate_loads(&self, program: &Program) -> Result<(), Invalid> {
        for load in &program.loads {
            self.validate_load(program, load).map_err(|e| e.within(&format!("a load of {}", load.tensor)))?;
        }
        let mut there: Vec<Area> = Vec::new();
        let mut loads = program.loads.iter().peekable();
        let mut steps = program.steps.iter().peekable();
        for (place, dispatch) in program.dispatches.iter().enumerate() {
            while let Some(load) = loads.next_if(|load| load.before <= place) {
                ensure(load.before == place, || "the loads are out of order".to_owned())?;
                there.retain(|area| !meet(area, &load.area));
                there.push(load.area);
                let begins = steps.peek().is_some_and(|step| step.dispatches.start == place);
                ensure(begins, || format!("a load comes within the step of dispatch {place}"))?;
            }
            if let Some(step) = steps.next_if(|step| step.dispatches.start == place) {
                let windows =
                    step.reads.iter().flatten().filter(|area| matches!(area.buffer, Buffer::Window(_)));
                for area in windows {
                    ensure(there.contains(area), || {
                        format!("the step of dispatch {place} reads a weight that is not there")
                    })?;
                }
            }
            for bound in &dispatch.bindings {
                if let Bound::Area(area) = bound
                    && matches!(area.buffer, Buffer::Window(_))
                {
                    ensure(there.contains(area), || {
                        format!("dispatch {place} (`{}`) binds a weight that is not there", dispatch.label)
                    })?;
                }
            }
        }
        ensure(loads.next().is_none(), || "a load comes after the last dispatch".to_owned())
    }

    fn validate_load(&self, program: &Program, load: &Load) -> Result<(), Invalid> {
        let tensor = self.tensors.get(load.tensor);
        let tensor = tensor.ok_or_else(|| invalid("there is no such tensor".to_owned()))?;
        self.validate_area(program, &load.area)?;
        ensure(matches!(load.area.buffer, Buffer::Window(_)), || format!("into {:?}", load.area.buffer))?;
        inside(0, bytes_of(tensor.element, &tensor.shape)?, load.area.bytes)
    }

    fn validate_area(&self, program: &Program, area: &Area) -> Result<(), Invalid> {
        let bytes = match area.buffer {
            Buffer::Region(i) => self.regions.get(i).map(|r| r.bytes),
            Buffer::Arena(i) => program.arenas.get(i).copied(),
            Buffer::Window(i) => program.windows.get(i).copied(),
            Buffer::Input => Some(program.input_bytes),
            Buffer::Output => Some(program.output_bytes),
        };
        let bytes = bytes.ok_or_else(|| invalid(format!("there is no {:?}", area.buffer)))?;
        ensure(area.offset.is_multiple_of(ALIGNMENT), || {
            format!("an area begins at {}, not at a multiple of {ALIGNMENT}", area.offset)
        })?;
        ensure(area.bytes > 0 && area.bytes.is_multiple_of(4), || {
            format!("an area of {} bytes", area.bytes)
        })?;
        inside(area.offset, area.bytes, bytes)
    }
}

fn meet(a: &Area, b: &Area) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
}

fn validate_kernel(kernel: &Kernel) -> Result<(), Invalid> {
    ensure(kernel.params.len().is_multiple_of(4), || format!("it takes {} parameters", kernel.params.len()))?;
    ensure(kernel.workgroup.iter().all(|&n| (1..=1024).contains(&n)), || {
        format!("a workgroup of {:?} invocations", kernel.workgroup)
    })
}

fn validate_port(port: &Port, batch: usize, buffer_bytes: u64) -> Result<(), Invalid> {
    ensure(port.offset.is_multiple_of(4), || format!("the offset {} is odd", port.offset))?;
    inside(port.offset, bytes_of(port.element, &port.shape)?, buffer_bytes)?;
    ensure(!port.batched || port.shape.first() == Some(&batch), || {
        format!("its shape {:?} does not begin with the batch of {batch}", port.shape)
    })
}

fn validate_scalar(scalar: &HostScalar) -> Result<(), Invalid> {
    let slots = HOST_FIRST_FREE..HOST_SLOTS as u32;
    ensure(slots.contains(&scalar.slot), || "there is no such slot".to_owned())?;
    ensure(matches!(scalar.element, Element::F32 | Element::I32), || format!("it is a {}", scalar.element))?;
    let operands = scalar.expr.operands().len();
    ensure(operands == scalar.symbols.len(), || {
        format!("its formula has {operands} operands, given are {}", scalar.symbols.len())
    })?;
    validate_formula(&scalar.expr)
}

fn validate_formula(expr: &Expr) -> Result<(), Invalid> {
    let well_formed = expr.terms().iter().enumerate().all(|(place, term)| match term {
        Term::Operand(k, _) => (*k as usize) < expr.operands().len(),
        Term::Real(_) | Term::Int(_) | Term::Bool(_) => true,
        Term::Unary(_, a) | Term::Cast(_, a) => a.index() < place,
        Term::Binary(_, a, b) => a.index().max(b.index()) < place,
        Term::Select { condition, yes, no } => condition.index().max(yes.index()).max(no.index()) < place,
    });
    let results = expr.results();
    ensure(well_formed && results.len() == 1 && results[0].index() < expr.terms().len(), || {
        "its formula is malformed".to_owned()
    })
}

fn disjoint(ports: &[Port]) -> Result<(), Invalid> {
    let mut ends: Vec<(u64, u64, &str)> = ports
        .iter()
        .map(|p| Ok((p.offset, p.offset + bytes_of(p.element, &p.shape)?, p.name.as_str())))
        .collect::<Result<_, Invalid>>()?;
    ends.sort_unstable();
    for pair in ends.windows(2) {
        ensure(pair[0].1 <= pair[1].0, || format!("`{}` and `{}` overlap", pair[0].2, pair[1].2))?;
    }
    Ok(())
}

fn whole_words(bytes: u64) -> Result<(), Invalid> {
    ensure(bytes.is_multiple_of(4), || format!("a buffer of {bytes} bytes"))
}

fn inside(offset: u64, bytes: u64, buffer_bytes: u64) -> Result<(), Invalid> {
    ensure(offset.checked_add(bytes).is_some_and(|end| end <= buffer_bytes), || {
        format!("{bytes} bytes at {offset} reach beyond the {buffer_bytes} of their buffer")
    })
}

fn bytes_of(element: Element, shape: &[usize]) -> Result<u64, Invalid> {
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= usize::MAX / 8);
    let count = count.ok_or_else(|| invalid(format!("the shape {shape:?} has too many elements")))?;
    Ok(element.bytes(count) as u64)
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(invalid(what())) }
}

fn invalid(what: String) -> Invalid {
    Invalid { what }
}

impl Invalid {
    fn within(self, part: &str) -> Invalid {
        Invalid { what: format!("{part}: {}", self.what) }
    }
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::Scalar;
    use nnc_wgsl::schedule::{RowSpec, Spec};

    use super::*;
    use crate::example;

    fn refused(change: impl FnOnce(&mut Artifact), part: &str) {
        let mut artifact = example::linear();
        change(&mut artifact);
        let message = artifact.validate().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    fn change_row(artifact: &mut Artifact, change: impl FnOnce(&mut RowSpec)) {
        let Spec::Row(row) = &mut artifact.works[0] else { panic!("the first work is a row") };
        change(row);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        example::linear().validate().unwrap();
        refused(|a| a.tensors[0].region = 9, "no region 9");
        refused(|a| a.tensors[0].offset = u64::MAX - 3, "reach beyond");
        refused(|a| a.tensors[0].shape = vec![usize::MAX, 2], "too many elements");
        refused(|a| a.tensors[0].init = Init::Values(vec![1.0]), "its first value 1");
        refused(|a| a.tensors[0].init = Init::Given { offset: 0 }, "reach beyond");
        refused(|a| a.tensors[1].path = a.tensors[0].path.clone(), "two tensors are named");
        refused(|a| a.programs[0].dispatches[0].kernel = 99, "no kernel 99");
        refused(|a| a.programs[0].dispatches[0].params.push(0), "parameters for");
        refused(|a| a.programs[0].dispatches[0].workgroups[1] = 0, "grid");
        refused(|a| a.programs[0].dispatches[0].workgroups[0] = 65_536, "grid");
        refused(|a| a.programs[0].dispatches[0].bindings.truncate(1), "bindings for");
        refused(|a| a.programs[0].dispatches[0].bindings[0] = Bound::Host, "is bound as");
        refused(|a| a.programs[0].dispatches[0].writes[0].area.offset = 77, "not at a multiple of");
        refused(|a| a.programs[0].input_bytes = 4, "reach beyond");
        refused(|a| a.programs[0].steps[0].work = 9, "no work 9");
        refused(|a| a.programs[0].steps[0].dispatches.end = 0, "it is the dispatches");
        refused(|a| a.programs[0].steps[1].dispatches.start = 0, "it is the dispatches");
        refused(|a| a.programs[0].steps.truncate(2), "its steps are 2 of 4");
        refused(|a| a.programs[0].steps[0].reads[1] = None, "reads what is not there");
        refused(|a| a.programs[0].steps[0].writes.clear(), "other tensors");
        refused(|a| a.programs[0].steps[0].writes[0].bytes = 12, "reach beyond");
        refused(|a| a.programs[0].steps[0].writes[0].offset = 512, "reach beyond");
        refused(|a| change_row(a, |row| row.reduced = vec![3]), "reach beyond");
        refused(|a| change_row(a, |row| row.reduced = vec![0]), "a space of");
        refused(|a| change_row(a, |row| row.kept.clear()), "other axes");
        refused(|a| change_row(a, |row| row.row_expr = Expr::identity(Scalar::I32)), "it takes");
        refused(|a| change_row(a, |row| row.row_writes[0].place.offset = -1), "before its tensor");
        refused(|a| a.programs[0].inputs[1].offset = a.programs[0].inputs[0].offset, "overlap");
        refused(|a| a.programs[0].batch = 7, "does not begin with the batch");
        refused(|a| a.programs[0].scalars[0].slot = 1, "no such slot");
        refused(|a| a.programs[0].scalars[0].symbols.clear(), "operands");
        refused(|a| a.programs[1].role = a.programs[0].role, "two");
        refused(
            |a| {
                if let Bound::Area(area) = &mut a.programs[0].dispatches[0].bindings[0] {
                    area.offset += 4;
                }
            },
            "multiple of 256",
        );
    }
}
