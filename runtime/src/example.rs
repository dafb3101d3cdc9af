//! The smallest whole artifact, written by hand: for readers of the format and tests of executors.

mod works;

use std::sync::Arc;

use nnc_wgsl::{Binary, Binding, Element, Expr, Kernel, Profile, Scalar};

use crate::artifact::{
    Area, Artifact, Bound, Buffer, Data, Dispatch, Field, HostScalar, HostSymbol, Init, Location, Meaning,
    Part, Port, Program, Region, Role, Step, Stored, StoredKind, Training, Written,
};

/// Examples a batch of [`linear`].
pub const BATCH: usize = 4;

/// Linear regression: `y = sum of x * w` over two features, the mean square as the loss, stochastic gradient
/// descent with momentum and a learning rate that falls with the step.
///
/// Inputs `x: f32[4, 2]` and `t: f32[4]`; outputs `loss` and the metric `error` (the mean distance), `y`
/// for use. Weight `w: f32[2]`, state `last: f32[4]` (the predictions of the last training step), optimizer
/// tensor `momentum.w: f32[2]`. Region `guard` holds the word that stops updates after a non-finite loss.
#[must_use]
pub fn linear() -> Artifact {
    let region = |name: &str, bytes| Region { name: name.to_owned(), bytes };
    let tensor = |path: &str, kind, shape: &[usize], region, init| Stored {
        path: path.to_owned(),
        kind,
        element: Element::F32,
        shape: shape.to_vec(),
        region,
        offset: 0,
        init,
    };
    Artifact {
        compiler: "by hand".to_owned(),
        model: "linear".to_owned(),
        profile: Profile::named("webgpu-default").expect("the built-in profiles have names"),
        kernels: vec![
            kernel("predict", 64, &[Binding::Storage; 3], PREDICT),
            kernel(
                "distance",
                1,
                &[Binding::Storage, Binding::Storage, Binding::Host, Binding::Storage, Binding::Storage],
                DISTANCE,
            ),
            kernel("slope", 1, &[Binding::Storage; 4], SLOPE),
            kernel(
                "update",
                1,
                &[
                    Binding::Storage,
                    Binding::Storage,
                    Binding::Storage,
                    Binding::Storage,
                    Binding::Storage,
                    Binding::Host,
                ],
                UPDATE,
            ),
        ],
        works: works::works(),
        regions: vec![
            region("weights", 256),
            region("states", 256),
            region("momentum", 256),
            region("guard", 256),
        ],
        tensors: vec![
            tensor("w", StoredKind::Weight, &[2], 0, Init::Uniform { low: -0.5, high: 0.5 }),
            tensor("last", StoredKind::State, &[BATCH], 1, Init::Constant(0.0)),
            tensor("momentum.w", StoredKind::Optimizer, &[2], 2, Init::Constant(0.0)),
        ],
        programs: vec![train(), evaluate(), infer(), gradient()],
        training: None,
        values: Arc::default(),
    }
}

/// The `train` block of [`linear`] over the fields `x` and `t` of two safetensors files.
#[must_use]
pub fn training(train: &str, test: &str) -> Training {
    let field = |name: &str, shape: &[usize]| Field {
        name: name.to_owned(),
        element: Element::F32,
        shape: shape.to_vec(),
        range: None,
    };
    let part = |name: &str, path: &str| Part {
        name: name.to_owned(),
        reader: "safetensors".to_owned(),
        paths: vec![path.to_owned()],
        options: Vec::new(),
        origin: None,
    };
    Training {
        batch: BATCH,
        epochs: Some(3),
        steps: None,
        seed: 7,
        metrics: vec!["error".to_owned()],
        stop: None,
        save: None,
        load: None,
        data: Data {
            name: "points".to_owned(),
            fields: vec![field("x", &[2]), field("t", &[])],
            parts: vec![part("train", train), part("test", test)],
        },
        meaning: Meaning { data: 1, model: 2, step: 3 },
    }
}

const LOSS: Area = Area { buffer: Buffer::Output, offset: 0, bytes: 4 };
const ERROR: Area = Area { buffer: Buffer::Output, offset: 256, bytes: 4 };
const X: Area = Area { buffer: Buffer::Input, offset: 0, bytes: 32 };
const T: Area = Area { buffer: Buffer::Input, offset: 256, bytes: 16 };
const Y: Area = Area { buffer: Buffer::Arena(0), offset: 0, bytes: 16 };
const G: Area = Area { buffer: Buffer::Arena(0), offset: 256, bytes: 8 };
const W: Area = Area { buffer: Buffer::Region(0), offset: 0, bytes: 8 };
const LAST: Area = Area { buffer: Buffer::Region(1), offset: 0, bytes: 16 };
const MOMENTUM: Area = Area { buffer: Buffer::Region(2), offset: 0, bytes: 8 };
const GUARD: Area = Area { buffer: Buffer::Region(3), offset: 0, bytes: 4 };

fn train() -> Program {
    Program {
        role: Role::Train,
        outputs: vec![port("loss", &[], false, 0), port("error", &[], false, 256)],
        arenas: vec![512],
        scalars: vec![examples(), rate()],
        dispatches: vec![predict(Y), distance(LOSS, ERROR), slope(G), update()],
        steps: vec![predict_step(Y), distance_step(LOSS, ERROR), slope_step(G), update_step()],
        copies: vec![(Y, LAST)],
        ..evaluate()
    }
}

fn evaluate() -> Program {
    Program {
        role: Role::Evaluate,
        batch: BATCH,
        inputs: vec![port("x", &[BATCH, 2], true, 0), port("t", &[BATCH], true, 256)],
        outputs: vec![port("loss", &[], false, 0), port("error", &[], false, 256)],
        input_bytes: 512,
        output_bytes: 512,
        arenas: vec![256],
        windows: Vec::new(),
        loads: Vec::new(),
        settled: 0,
        scalars: vec![examples()],
        dispatches: vec![predict(Y), distance(LOSS, ERROR)],
        steps: vec![predict_step(Y), distance_step(LOSS, ERROR)],
        copies: Vec::new(),
    }
}

fn infer() -> Program {
    let y = Area { buffer: Buffer::Output, offset: 0, bytes: 16 };
    Program {
        role: Role::Infer,
        inputs: vec![port("x", &[BATCH, 2], true, 0)],
        outputs: vec![port("y", &[BATCH], true, 0)],
        arenas: Vec::new(),
        scalars: Vec::new(),
        dispatches: vec![predict(y)],
        steps: vec![predict_step(y)],
        ..evaluate()
    }
}

fn gradient() -> Program {
    let g = Area { buffer: Buffer::Output, offset: 256, bytes: 8 };
    let error = Area { buffer: Buffer::Arena(0), offset: 256, bytes: 4 };
    Program {
        role: Role::Gradient,
        outputs: vec![port("loss", &[], false, 0), port("w", &[2], false, 256)],
        arenas: vec![512],
        dispatches: vec![predict(Y), distance(LOSS, error), slope(g)],
        steps: vec![predict_step(Y), distance_step(LOSS, error), slope_step(g)],
        ..evaluate()
    }
}

fn predict(y: Area) -> Dispatch {
    dispatch(0, &[X, W, y].map(Bound::Area), "predict  x, w -> y", (y, "y"))
}

fn distance(loss: Area, error: Area) -> Dispatch {
    let bindings = [Bound::Area(Y), Bound::Area(T), Bound::Host, Bound::Area(loss), Bound::Area(error)];
    dispatch(1, &bindings, "mean square  y, t -> loss", (loss, "loss"))
}

fn slope(g: Area) -> Dispatch {
    dispatch(2, &[X, Y, T, g].map(Bound::Area), "gradient  x, y, t -> w", (g, "the gradient of w"))
}

fn update() -> Dispatch {
    let areas = [W, MOMENTUM, G, LOSS, GUARD].map(Bound::Area);
    dispatch(3, &[&areas[..], &[Bound::Host]].concat(), "momentum  w", (W, "w"))
}

fn predict_step(y: Area) -> Step {
    step(0, &[Some(X), Some(W)], &[y])
}

fn distance_step(loss: Area, error: Area) -> Step {
    step(1, &[Some(Y), Some(T), None, None], &[loss, error])
}

fn slope_step(g: Area) -> Step {
    step(2, &[Some(X), Some(Y), Some(T)], &[g])
}

fn update_step() -> Step {
    let reads = [W, MOMENTUM, G, LOSS, GUARD].map(Some);
    step(3, &[&reads[..], &[None]].concat(), &[GUARD, W, MOMENTUM])
}

/// The works stand in the order of the dispatches, one for each.
fn step(work: usize, reads: &[Option<Area>], writes: &[Area]) -> Step {
    Step { work, reads: reads.to_vec(), writes: writes.to_vec(), dispatches: work..work + 1 }
}

fn dispatch(kernel: usize, bindings: &[Bound], label: &str, writes: (Area, &str)) -> Dispatch {
    Dispatch {
        kernel,
        params: vec![BATCH as u32, 2, 0, 0],
        bindings: bindings.to_vec(),
        workgroups: [1, 1, 1],
        label: label.to_owned(),
        origin: Some(Location { file: "linear.nn".to_owned(), line: 1 + kernel as u32, column: 3 }),
        writes: vec![Written { area: writes.0, element: Element::F32, what: writes.1.to_owned() }],
        requires: Vec::new(),
    }
}

fn port(name: &str, shape: &[usize], batched: bool, offset: u64) -> Port {
    Port { name: name.to_owned(), element: Element::F32, shape: shape.to_vec(), batched, offset }
}

fn examples() -> HostScalar {
    let expr = Expr::identity(Scalar::F32);
    HostScalar { slot: 4, element: Element::F32, expr, symbols: vec![HostSymbol::Examples] }
}

/// `0.1 / (1 + 0.01 * step)`
fn rate() -> HostScalar {
    let expr = Expr::build(&[Scalar::F32], |b, x| {
        let (one, small, first) = (b.real(1.0), b.real(0.01), b.real(0.1));
        let grown = b.binary(Binary::Mul, x[0], small);
        let divisor = b.binary(Binary::Add, one, grown);
        b.binary(Binary::Div, first, divisor)
    });
    HostScalar { slot: 5, element: Element::F32, expr, symbols: vec![HostSymbol::Step] }
}

fn kernel(name: &str, invocations: u32, bindings: &[Binding], body: &str) -> Kernel {
    let mut wgsl = "@group(0) @binding(0) var<uniform> params: vec4<u32>;\n".to_owned();
    for (i, binding) in (1..).zip(bindings) {
        wgsl += &match binding {
            Binding::Storage => {
                format!("@group(0) @binding({i}) var<storage, read_write> b{i}: array<f32>;\n")
            }
            Binding::Host => format!("@group(0) @binding({i}) var<uniform> host: array<vec4<u32>, 16>;\n"),
        };
    }
    wgsl += &format!(
        "@compute @workgroup_size({invocations})\nfn main(@builtin(global_invocation_id) id: vec3<u32>) {{{body}}}\n"
    );
    Kernel {
        name: name.to_owned(),
        wgsl,
        workgroup: [invocations, 1, 1],
        bindings: bindings.to_vec(),
        params: ["n", "features", "_2", "_3"].map(str::to_owned).to_vec(),
    }
}

const PREDICT: &str = "
    if id.x < params.x {
        var sum = 0.0;
        for (var k = 0u; k < params.y; k++) { sum += b1[id.x * params.y + k] * b2[k]; }
        b3[id.x] = sum;
    }
";

const DISTANCE: &str = "
    let examples = bitcast<f32>(host[1].x);
    var square = 0.0;
    var distance = 0.0;
    for (var i = 0u; i < u32(examples); i++) {
        let d = b1[i] - b2[i];
        square += d * d;
        distance += abs(d);
    }
    b4[0] = square / examples;
    b5[0] = distance / examples;
";

const SLOPE: &str = "
    for (var k = 0u; k < params.y; k++) {
        var sum = 0.0;
        for (var i = 0u; i < params.x; i++) { sum += (b2[i] - b3[i]) * b1[i * params.y + k]; }
        b4[k] = 2.0 * sum / f32(params.x);
    }
";

const UPDATE: &str = "
    let finite = (bitcast<u32>(b4[0]) & 0x7f800000u) != 0x7f800000u;
    if !finite { b5[0] = 1.0; }
    if b5[0] == 0.0 {
        for (var k = 0u; k < params.y; k++) {
            b2[k] = 0.9 * b2[k] + b3[k];
            b1[k] -= bitcast<f32>(host[1].y) * b2[k];
        }
    }
";
