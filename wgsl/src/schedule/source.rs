//! The frame of a kernel's text: its parameter block, its bindings and its functions, collected while the
//! body is written, so that the words of a launch and the names in its text cannot disagree.

use std::fmt::Write as _;

use super::narrow::{ENABLE, Narrow, converted};
use crate::kernel::{Binding, HOST_SLOTS, Kernel, Launch, Slot};
use crate::philox;
use crate::print::SPECIAL;

/// The most workgroups along one axis of a grid.
const GRID: u32 = 65_535;

/// A kernel in the making.
#[derive(Default)]
pub(crate) struct Source {
    params: Vec<(String, u32)>,
    bindings: Vec<(Slot, String)>,
    narrow: Vec<Narrow>,
    module: String,
    host: bool,
    philox: bool,
}

/// What a finished kernel runs over.
pub(crate) struct Shape {
    /// Invocations a workgroup.
    pub(crate) workgroup: [u32; 2],
    /// Workgroups in all; the grid has two axes, and `group` in the body counts along both.
    pub(crate) groups: u32,
}

impl Source {
    /// A parameter word; the text that reads it. The word may be a negative number's two's complement,
    /// because addresses are computed modulo 2^32.
    pub(crate) fn param(&mut self, name: &str, value: u32) -> String {
        debug_assert!(self.params.iter().all(|(known, _)| known != name), "parameter `{name}` is new");
        self.params.push((name.to_owned(), value));
        format!("p.{name}")
    }

    /// A parameter word from a signed quantity.
    ///
    /// # Panics
    /// If the quantity does not fit 32 bits.
    pub(crate) fn signed(&mut self, name: &str, value: i64) -> String {
        let value = i32::try_from(value).expect("places lie within 2^31 elements");
        self.param(name, value.cast_unsigned())
    }

    /// Binds storage as `array<ty>` under `name`.
    pub(crate) fn storage(&mut self, slot: Slot, name: &str, ty: &str) {
        let binding = self.bindings.len() + 1;
        let _ = writeln!(
            self.module,
            "@group(0) @binding({binding}) var<storage, read_write> {name}: array<{ty}>;"
        );
        self.bindings.push((slot, name.to_owned()));
        if ty.contains("f16") {
            self.narrow.push(Narrow { name: name.to_owned(), wide: ty.starts_with("vec4") });
        }
    }

    /// The text of one word of the host block, a `u32`.
    pub(crate) fn host(&mut self, slot: u32) -> String {
        if !self.host {
            self.host = true;
            let binding = self.bindings.len() + 1;
            let _ = writeln!(
                self.module,
                "@group(0) @binding({binding}) var<uniform> host: array<vec4<u32>, {}>;",
                HOST_SLOTS / 4
            );
            self.bindings.push((Slot::Host, "host".to_owned()));
        }
        format!("host[{}].{}", slot / 4, LANES[(slot % 4) as usize])
    }

    /// Makes `philox` callable.
    pub(crate) fn philox(&mut self) {
        if !self.philox {
            self.philox = true;
            self.module.push_str(philox::WGSL);
        }
    }

    /// Appends a declaration to the module: a function, or memory of a workgroup.
    pub(crate) fn declare(&mut self, text: &str) {
        self.module.push_str(text);
    }

    /// The launch. In `body`, `group` is the number of the workgroup (`u32`, below `shape.groups`),
    /// `local` the place in it (`vec2<u32>`).
    pub(crate) fn launch(mut self, name: String, shape: &Shape, body: &str) -> Launch {
        let groups = shape.groups.max(1);
        let rows = groups.div_ceil(GRID);
        let columns = groups.div_ceil(rows);
        self.param("group_columns", columns);
        self.param("groups", groups);
        while !self.params.len().is_multiple_of(4) {
            let name = format!("unused_{}", self.params.len());
            self.param(&name, 0);
        }
        let mut wgsl = if self.narrow.is_empty() { String::new() } else { ENABLE.to_owned() };
        wgsl.push_str("struct Params {\n");
        for (name, _) in &self.params {
            let _ = writeln!(wgsl, "  {name}: u32,");
        }
        wgsl.push_str("}\n@group(0) @binding(0) var<uniform> p: Params;\n");
        wgsl.push_str(&converted(&self.module, &self.narrow));
        let body = &converted(body, &self.narrow);
        let called = |call: &str| body.contains(call) || self.module.contains(call);
        wgsl.extend(SPECIAL.iter().filter(|(call, _)| called(call)).map(|(_, function)| *function));
        let [x, y] = shape.workgroup;
        let _ = write!(
            wgsl,
            "@compute @workgroup_size({x}, {y})\n\
             fn main(@builtin(workgroup_id) grid: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {{\n\
             let group = grid.y * p.group_columns + grid.x;\n\
             if (group >= p.groups) {{ return; }}\n\
             {body}}}\n"
        );
        let bindings = self
            .bindings
            .iter()
            .map(|(slot, _)| if *slot == Slot::Host { Binding::Host } else { Binding::Storage })
            .collect();
        Launch {
            kernel: Kernel {
                name,
                wgsl,
                workgroup: [x, y, 1],
                bindings,
                params: self.params.iter().map(|(name, _)| name.clone()).collect(),
            },
            params: self.params.iter().map(|(_, value)| *value).collect(),
            slots: self.bindings.iter().map(|(slot, _)| *slot).collect(),
            workgroups: [columns, rows, 1],
        }
    }
}

/// The components of a `vec4`.
pub(crate) const LANES: [&str; 4] = ["x", "y", "z", "w"];
