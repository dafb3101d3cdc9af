//! What PyTorch, Keras, JAX and ONNX call things, and what is written here.

/// Layers and functions that are called differently here. Case and `_` do not matter.
const NAMES: [(&str, &str); 83] = [
    ("conv1d", "conv"),
    ("conv2d", "conv"),
    ("conv3d", "conv"),
    ("convolution", "conv"),
    ("convtranspose1d", "conv_transpose"),
    ("convtranspose2d", "conv_transpose"),
    ("convtranspose3d", "conv_transpose"),
    ("conv2dtranspose", "conv_transpose"),
    ("deconv", "conv_transpose"),
    ("deconvolution", "conv_transpose"),
    ("dense", "linear"),
    ("fc", "linear"),
    ("fullyconnected", "linear"),
    ("gemm", "linear"),
    ("cat", "concat"),
    ("concatenate", "concat"),
    ("hstack", "concat"),
    ("multiply", "mul"),
    ("chunk", "split"),
    ("maxpool", "max_pool"),
    ("maxpool1d", "max_pool"),
    ("maxpool2d", "max_pool"),
    ("maxpool3d", "max_pool"),
    ("maxpooling1d", "max_pool"),
    ("maxpooling2d", "max_pool"),
    ("avgpool", "avg_pool"),
    ("avgpool1d", "avg_pool"),
    ("avgpool2d", "avg_pool"),
    ("avgpool3d", "avg_pool"),
    ("lppool2d", "l2_pool"),
    ("averagepool", "avg_pool"),
    ("averagepooling2d", "avg_pool"),
    ("adaptiveavgpool1d", "global_avg_pool"),
    ("adaptiveavgpool2d", "global_avg_pool"),
    ("adaptivemaxpool2d", "global_max_pool"),
    ("globalmaxpooling2d", "global_max_pool"),
    ("globalaveragepool", "global_avg_pool"),
    ("globalaveragepooling1d", "global_avg_pool"),
    ("globalaveragepooling2d", "global_avg_pool"),
    ("upsampling2d", "upsample"),
    ("interpolate", "upsample"),
    ("bn", "batch_norm"),
    ("batchnorm1d", "batch_norm"),
    ("batchnorm2d", "batch_norm"),
    ("batchnormalization", "batch_norm"),
    ("layernormalization", "layer_norm"),
    ("groupnormalization", "group_norm"),
    ("embedding", "embed"),
    ("dropout1d", "dropout"),
    ("dropout2d", "dropout"),
    ("swish", "silu"),
    ("crossentropyloss", "cross_entropy"),
    ("nllloss", "cross_entropy"),
    ("categoricalcrossentropy", "cross_entropy"),
    ("sparsecategoricalcrossentropy", "cross_entropy"),
    ("softmaxcrossentropy", "cross_entropy"),
    ("bceloss", "binary_cross_entropy"),
    ("binarycrossentropy", "binary_cross_entropy"),
    ("bcewithlogitsloss", "bce_logits"),
    ("binarycrossentropywithlogits", "bce_logits"),
    ("mseloss", "mse"),
    ("meansquarederror", "mse"),
    ("l1loss", "mae"),
    ("meanabsoluteerror", "mae"),
    ("detach", "stop_grad"),
    ("stopgradient", "stop_grad"),
    ("where", "select"),
    ("indexselect", "take"),
    ("takealongdim", "gather"),
    ("takealongaxis", "gather"),
    ("topk", "top_k"),
    ("cumulativesum", "cumsum"),
    ("pow", "**"),
    ("power", "**"),
    ("matmul", "@"),
    ("mm", "@"),
    ("bmm", "@"),
    ("dot", "@"),
    ("cosineannealinglr", "cosine"),
    ("cosinedecay", "cosine"),
    ("steplr", "step_decay"),
    ("multisteplr", "step_decay"),
    ("exponentiallr", "step_decay"),
];

/// What has no counterpart of one name here, and what is written in its place. Case and `_` do not matter.
const WAYS: [(&str, &str); 26] = [
    ("view", "axes are split, joined and moved with `rearrange(\"n c h w -> n (c h w)\")`"),
    ("reshape", "axes are split, joined and moved with `rearrange(\"n c h w -> n (c h w)\")`"),
    ("permute", "axes are split, joined and moved with `rearrange(\"n c h w -> n (c h w)\")`"),
    ("unsqueeze", "an axis of extent 1 is added with `rearrange(\"n c -> n c 1\")`"),
    ("expanddims", "an axis of extent 1 is added with `rearrange(\"n c -> n c 1\")`"),
    ("squeeze", "an axis of extent 1 is dropped with an index: `x[:, 0]`"),
    ("stack", "a new axis is added with `rearrange(\"n c -> n 1 c\")`, then joined with `concat`"),
    ("sequential", "a pipeline is written `x -> conv(32, 3) -> relu`; a part of it with a name is a `block`"),
    ("modulelist", "a chain is repeated with `-> repeat 3 { ... }`"),
    ("activation", "an activation is a stage of its own: `-> relu`"),
    ("input", "inputs stand in the model's signature: `model Net(x: f32[N, 3, 32, 32]) { ... }`"),
    ("zeropadding2d", "padding is an argument: `conv(32, 3, pad=1)`"),
    ("range", "a range is `0..4`"),
    ("none", "no value is `none`; an argument with a default can be left out"),
    ("null", "no value is `none`; an argument with a default can be left out"),
    ("nil", "no value is `none`; an argument with a default can be left out"),
    ("true", "truth is `true` and `false`"),
    ("false", "truth is `true` and `false`"),
    ("print", "values are shown with `nnc run`, shapes with `nnc show`"),
    ("float", "numbers become floats where they meet floats"),
    ("self", "there is no `self`: a call owns its weights, and `layer name = ...` shares them"),
    ("super", "there is no `self`: a call owns its weights, and `layer name = ...` shares them"),
    ("parameter", "a weight is declared: `weight gain: f32[C] = ones`"),
    ("variable", "a weight is declared: `weight gain: f32[C] = ones`"),
    ("registerbuffer", "what is kept and not trained is declared: `state seen: f32[C] = zeros`"),
    ("backward", "gradients follow from the `loss` of `train`"),
];

/// Prefixes under which other frameworks keep their layers.
const PREFIXES: [&str; 13] =
    ["nn", "F", "torch", "functional", "tf", "keras", "layers", "np", "numpy", "jnp", "jax", "flax", "onnx"];

/// Arguments that are called differently here, in the order of what they may mean.
const ARGUMENTS: [(&str, &str); 38] = [
    ("kernel_size", "kernel"),
    ("kernel_shape", "kernel"),
    ("kernel_size", "size"),
    ("pool_size", "size"),
    ("padding", "pad"),
    ("pads", "pad"),
    ("strides", "stride"),
    ("dilation_rate", "dilation"),
    ("dilations", "dilation"),
    ("group", "groups"),
    ("num_groups", "groups"),
    ("out_channels", "out"),
    ("out_features", "out"),
    ("filters", "out"),
    ("units", "out"),
    ("features", "out"),
    ("hidden_size", "out"),
    ("embedding_dim", "out"),
    ("output_dim", "out"),
    ("num_embeddings", "count"),
    ("input_dim", "count"),
    ("num_layers", "layers"),
    ("num_heads", "heads"),
    ("scale_factor", "by"),
    ("use_bias", "bias"),
    ("kernel_initializer", "init"),
    ("bias_initializer", "init_bias"),
    ("negative_slope", "slope"),
    ("rate", "p"),
    ("epsilon", "eps"),
    ("learning_rate", "lr"),
    ("weight_decay", "decay"),
    ("label_smoothing", "smooth"),
    ("rho", "alpha"),
    ("dim", "axis"),
    ("keepdim", "keep"),
    ("keepdims", "keep"),
    ("num_classes", "classes"),
];

/// Arguments without a counterpart.
const ARGUMENT_WAYS: [(&str, &str); 13] = [
    ("in_channels", "the input says how many channels come in: leave it out"),
    ("in_features", "the input says how many features come in: leave it out"),
    ("input_size", "the input says how many features come in: leave it out"),
    ("input_shape", "the model's signature says what comes in: leave it out"),
    ("num_features", "the input says how many channels come in: leave it out"),
    ("normalized_shape", "it normalizes along the last dim: leave it out"),
    ("activation", "an activation is a stage of its own: `-> relu`"),
    ("inplace", "the compiler decides what takes over memory: leave it out"),
    ("name", "a name is written behind the stage: `as stem`"),
    ("batch_first", "sequences are [N, T, C]: leave it out"),
    ("return_sequences", "`seq, h = x -> gru(64)` gives all steps and the last"),
    ("betas", "they are two arguments: `beta1=0.9, beta2=0.999`"),
    ("reduction", "a loss is the mean; write the formula for another: `sum(...)`"),
];

/// Parameters that take a number which elsewhere stands for something else.
const NUMBERS: [(&str, &str); 2] = [
    ("eps", "the input says how many channels or features come in: leave their number out"),
    ("bias", "the input says how much comes in: of two sizes write the second, `linear(10)`"),
];

/// What to write where a number cannot be the parameter `name`.
pub(super) fn number_help(name: &str) -> Option<&'static str> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, help)| *help)
}

/// What is written here for a layer, function or value that is called `name` elsewhere.
pub(super) fn name_help(name: &str) -> Option<String> {
    let folded = fold(name);
    if let Some((_, way)) = WAYS.iter().find(|(theirs, _)| *theirs == folded) {
        return Some((*way).to_owned());
    }
    if PREFIXES.contains(&name) {
        return Some("layers and functions need no prefix: `linear`, `relu`".to_owned());
    }
    let ours = translated(&folded)?;
    let is_operator = !ours.starts_with(|letter: char| letter.is_alphabetic());
    Some(if is_operator { format!("write `a {ours} b`") } else { format!("here it is called `{ours}`") })
}

/// What is written here for `owner.field`, a method or a function with a prefix elsewhere.
pub(super) fn field_help(owner: &str, field: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    if owner == "self" {
        return name_help("self");
    }
    if matches!(field, "shape" | "size") {
        return Some("dims are names of the signature (`x: f32[N, C]`), or `size(x, 1)`".to_owned());
    }
    let folded = fold(field);
    if let Some((_, way)) = WAYS.iter().find(|(theirs, _)| *theirs == folded) {
        return Some((*way).to_owned());
    }
    let lower = field.to_lowercase();
    let ours = match translated(&folded) {
        Some("@" | "**") => return name_help(field),
        Some(ours) => ours.to_owned(),
        None if field == "T" => "transpose".to_owned(),
        None if is_known(field) => field.to_owned(),
        None if is_known(&lower) => lower,
        None => return name_help(owner),
    };
    if PREFIXES.contains(&owner) {
        return Some(format!("layers and functions need no prefix: `{ours}`"));
    }
    Some(format!("a value goes into a function: `{owner} -> {ours}`"))
}

/// What is written here for the argument `name` of something that has the parameters `known`.
pub(super) fn argument_help(name: &str, known: &[&str]) -> Option<String> {
    let fits = |(theirs, ours): &&(&str, &str)| *theirs == name && known.iter().any(|known| known == ours);
    if let Some((_, ours)) = ARGUMENTS.iter().find(fits) {
        return Some(format!("did you mean `{ours}`?"));
    }
    ARGUMENT_WAYS.iter().find(|(theirs, _)| *theirs == name).map(|(_, way)| (*way).to_owned())
}

fn translated(folded: &str) -> Option<&'static str> {
    NAMES.iter().find(|(theirs, _)| *theirs == folded).map(|(_, ours)| *ours)
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('_', "")
}
