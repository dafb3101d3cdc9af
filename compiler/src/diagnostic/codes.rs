//! The long form of every diagnostic, for `nnc explain E0301`.

/// What the diagnostic `code` means and what to do about it.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, text)| *text)
}

/// Every code with its long form, in order.
pub const CODES: &[(&str, &str)] = &[
    (
        "E0101",
        "A bracket is left open, or one is closed that was never opened.

Brackets are paired before anything else is read, so nothing else of the file is reported with this error.
The place shown first is the bracket that lacks its partner; the other is where reading found that out.",
    ),
    (
        "E0102",
        "A string is not ended in its line, or holds an escape that does not exist.

    train = idx(\"images\")        # ended
    name  = \"a \\\"quoted\\\" word\"  # the escapes are \\\" \\\\ \\n \\t",
    ),
    (
        "E0103",
        "A character stands where no word of the language begins with it.

Habits from elsewhere: power is `**` and not `^`, a pipeline is `->` and not `|`, conditions are joined by
`and`, `or` and `not`.",
    ),
    (
        "E0104",
        "The text does not go on as the grammar does. The message says what could stand there.

There is no `return`: the last line of a body is its value. There is no `for`: a chain is repeated with
`-> repeat i in 0..4 { ... }`. A statement ends with its line unless the line ends with an operator, a comma
or an opening bracket, or the next line begins with `->`.",
    ),
    (
        "E0105",
        "A file that `use` names cannot be read, or uses itself in a circle.

Paths are relative to the file that names them. `use \"std/vision.nn\"` names a file of the library.",
    ),
    (
        "E0106",
        "Brackets or operators are nested too deeply. Bind a part of the expression to a name.",
    ),
    (
        "E0201",
        "A name stands for nothing: no local name, no item of this file or of one it uses, nothing in the library.

The message suggests the known name that is closest, or what a name of another framework is called here.",
    ),
    (
        "E0202",
        "An argument that the callee does not have, or one too many.

The note shows what it takes: names with `=` have defaults. Arguments without a name fill the parameters in
order; in a pipeline the first is what comes through the arrow.",
    ),
    ("E0203", "A parameter without a default is not given. The note shows what the callee takes."),
    (
        "E0204",
        "A value of the wrong kind: a tensor where a number is needed, a string for a layer, a fraction for a count.

Numbers, truths, strings, lists and layers exist at build time, tensors at run time.",
    ),
    (
        "E0205",
        "A `fn` is a formula and owns nothing. What has weights or states is a `block`.

    block scaled(x: f32[N, C]) {
      weight gain: f32[C] = ones
      x * gain
    }",
    ),
    ("E0206", "Two items of one file have the same name."),
    (
        "E0207",
        "An item of this file and one of a file that it uses have the same name.

Use the other file with a prefix: `use \"blocks.nn\" as b`, then `b.conv_bn`.",
    ),
    (
        "E0208",
        "Something must be known at build time and is not: the condition of an `if`, the value of a `const`.

A choice between tensors by a tensor is `select(condition, a, b)`; both are computed.",
    ),
    ("E0209", "Something is called that is no layer or function, or calls itself without end."),
    (
        "E0210",
        "Fewer values than names, an `if` without `else` whose value is needed, or a body without a value.

`a, b = f(x)` needs two outputs; `_` drops one. The last line of a body is its value.",
    ),
    ("E0211", "An argument without a name stands after one with a name. Name it too, or move it to the front."),
    ("E0212", "One parameter or setting is given twice."),
    (
        "E0301",
        "Tensors of different shapes meet in a formula or in the branches of `add`.

Shapes align on the right, and a dim of 1 repeats. A shortcut around a stride or a change of channels needs a
projection: `if stride != 1 or C != out { conv(out, 1, stride) }`.",
    ),
    (
        "E0302",
        "A value does not have the shape that is declared for it: an output of the model, a parameter of a block, or
a type written behind a stage.",
    ),
    (
        "E0303",
        "A tensor with the wrong number of dims.

`conv` and the poolings need [N, C, W] or [N, C, H, W]; `flatten` gives [N, C] and belongs after them. A column of
a matrix is `x[:, 0]`, a new dim `rearrange(x, \"n c -> n c 1 1\")`.",
    ),
    (
        "E0304",
        "A window is larger than what it moves over, usually after one pooling too many.

An axis of extent n becomes (n + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1. `pad=same` keeps the
extent at stride 1.",
    ),
    (
        "E0305",
        "The parts of a `concat` differ in a dim other than the one along which they are joined.

`concat` joins along dim 1 (channels) unless told otherwise: `concat(a, b, axis=-1)`.",
    ),
    (
        "E0306",
        "What a block demands with `where` does not hold, or a number does not divide as it must.",
    ),
    (
        "E0307",
        "A dim that nothing defines.

A small letter must be a constant or a parameter. A free dim starts with a capital letter and is bound by the
inputs; what is free in a model's inputs needs `dims { T = 128 }` in `train`, or `--dim T=128`. The shape of a weight
cannot depend on the batch dim N.",
    ),
    (
        "E0308",
        "A formula would pair every example with every other: [N, 1] with [N] gives [N, N].

This is how losses go wrong without a word. Drop the dim of size 1 first: `x[:, 0]`.",
    ),
    (
        "E0309",
        "A matrix product whose inner dims differ. `a @ b` sums the last dim of `a` with the last but one of `b`.

Weights are kept as [out, in], so a product with one is often `x @ transpose(w)`.",
    ),
    ("E0310", "A shared layer is used with inputs that need weights of two shapes. Give each use a layer of its own."),
    ("E0311", "An index or a slice lies outside its dim. Negative places count from the end."),
    (
        "E0312",
        "A tensor of another element type than is needed: labels and tokens are i32, all else computes in f32.",
    ),
    ("E0313", "An axis that the tensor does not have. Axes count from 0, negative ones from the end."),
    (
        "E0314",
        "A pattern of `rearrange` or `einsum` that cannot be read or does not fit.

    rearrange(\"n t (h d) -> n h t d\", h=8)     # splits, moves
    rearrange(\"n c h w -> n (h w) c\")          # joins
    einsum(\"n q d, n k d -> n q k\", a, b)      # sums what is not on the right

Every axis on the left of `rearrange` stays; all but one of the names in parentheses need a size.",
    ),
    ("E0315", "A type is missing where it must be stated: at the inputs of a model and at states."),
    (
        "E0316",
        "A tensor with more elements than a kernel can count, 4294967295. A layer or the batch is far too wide, or a
product of two tensors makes all pairs of their elements.",
    ),
    (
        "E0401",
        "The data has no field for an input of the model.

Fields match inputs by name. Otherwise map them: `inputs { image = photo }`, or fill them: `inputs { z = normal(0, 1) }`.",
    ),
    (
        "E0402",
        "The labels run over another number of classes than the model gives. One of the two is wrong: the range of the
field (`i32 in 0..10`) or the last layer.",
    ),
    (
        "E0403",
        "A field does not have the shape or type of the input that it feeds, or does not come out of `prepare` as it is
declared.

A field declares one example as it enters the model; the batch dim is added.",
    ),
    ("E0404", "`stop` or `save` reads a metric or a part of the data that does not exist: `test.accuracy`, `train.loss`."),
    ("E0501", "A loss or a metric must be one number. Take the `mean` of it."),
    (
        "E0502",
        "The loss does not depend on any weight in a way that can be followed downhill.

`argmax`, `round`, `floor`, comparisons and `stop_grad` let no gradient through. Use a smooth function, or state a
gradient in a `fn`: `grad x = dy`.",
    ),
    ("E0503", "An operator between a weight and the loss has no gradient."),
    (
        "E0504",
        "A `grad` formula that does not fit: the function must give one tensor of the shape of the parameter.

`grad x = ...` gives the gradient for `x` from `dy`, the gradient for the result; it is linear in `dy`.",
    ),
    ("E0505", "A setting that does not exist, or one that is missing."),
    (
        "E0506",
        "The optimizer never assigns `w`, so that nothing would be learned.

    optimizer descent(w, g, lr) { w = w - lr * g }",
    ),
    ("E0507", "The first two parameters of an optimizer are `w`, the weight, and `g`, its gradient."),
    ("E0508", "A setting that this version of the compiler understands and does not carry out."),
    ("E0509", "A training step takes more memory than `memory` allows; the message names the largest tensors."),
    ("W0201", "A name is bound and never read. Drop the line, or bind it to `_`."),
    ("W0202", "A value stands in the middle of a body, where nothing takes it. Only the last line is the value."),
    ("W0203", "A pipeline goes on with the first of several outputs of a block of yours, and drops the others."),
    (
        "W0301",
        "`linear` works on the last dim, which is the width of an image. Put `flatten` or `global_avg_pool` before it.",
    ),
    (
        "W0501",
        "A loss that contains a softmax (or a sigmoid) is given what went through one already. `cross_entropy` and
`bce_logits` take logits.",
    ),
    (
        "W0502",
        "Weights that the loss does not reach: they stay as they begin. Use what they compute in the loss, or say that
they are meant to stay: `freeze = [...]`.",
    ),
    ("W0503", "Mixed precision is asked for and this version computes in f32."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_explained_once() {
        for pair in CODES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} and {}", pair[0].0, pair[1].0);
        }
        assert!(explain("e0301").is_some_and(|text| text.contains("shortcut")));
        assert_eq!(explain("E9999"), None);
    }
}
