//! Settings that other frameworks have, and what is written here.

/// Settings of `train` that are called differently here.
pub(super) const SETTINGS: [(&str, &str); 23] = [
    ("batch_size", "batch"),
    ("bs", "batch"),
    ("max_epochs", "epochs"),
    ("num_epochs", "epochs"),
    ("n_epochs", "epochs"),
    ("max_steps", "steps"),
    ("iterations", "steps"),
    ("criterion", "loss"),
    ("objective", "loss"),
    ("opt", "optimizer"),
    ("checkpoint", "save"),
    ("pretrained", "load"),
    ("random_seed", "seed"),
    ("gradient_clip", "clip"),
    ("gradient_clip_val", "clip"),
    ("grad_clip", "clip"),
    ("clip_grad_norm", "clip"),
    ("clipnorm", "clip"),
    ("clip_norm", "clip"),
    ("max_grad_norm", "clip"),
    ("accumulate_grad_batches", "accumulate"),
    ("gradient_accumulation_steps", "accumulate"),
    ("amp", "precision"),
];

const SCHEDULE: &str = "a schedule is a formula in place of a number: `optimizer = sgd(lr=cosine(0.1))`";
const ARGUMENT: &str = "an argument of the optimizer: `optimizer = sgd(lr=0.1, momentum=0.9, decay=1e-4)`";
const DEVICE: &str = "the device is chosen on the command line: `nnc train --device gpu`";
const PART: &str = "a part of the examples stands in `data`: `valid = idx(\"images\", \"labels\")`";
const STOP: &str = "training ends by a condition: `stop = patience(test.loss, 5)`";

/// Settings of `train` without a counterpart of one name.
pub(super) const SETTING_WAYS: [(&str, &str); 22] = [
    ("scheduler", SCHEDULE),
    ("lr_scheduler", SCHEDULE),
    ("schedule", SCHEDULE),
    ("learning_rate_schedule", SCHEDULE),
    ("warmup", "a schedule may rise first: `optimizer = sgd(lr=cosine(0.1, warmup=500))`"),
    ("lr", ARGUMENT),
    ("learning_rate", ARGUMENT),
    ("momentum", ARGUMENT),
    ("weight_decay", ARGUMENT),
    ("decay", ARGUMENT),
    ("device", DEVICE),
    ("gpu", DEVICE),
    ("gpus", DEVICE),
    ("accelerator", DEVICE),
    ("shuffle", "the examples are shuffled in every epoch, by `seed`: leave it out"),
    ("num_workers", "the examples are read ahead by themselves: leave it out"),
    ("val", PART),
    ("valid", PART),
    ("validation", PART),
    ("early_stopping", STOP),
    ("patience", STOP),
    ("resume", "a run goes on by the command: `nnc train --resume`"),
];

/// Settings of `data` that are called differently here.
pub(super) const DATA_SETTINGS: [(&str, &str); 13] = [
    ("val", "valid"),
    ("validation", "valid"),
    ("dev", "valid"),
    ("training", "train"),
    ("testing", "test"),
    ("eval", "test"),
    ("transform", "prepare"),
    ("transforms", "prepare"),
    ("preprocess", "prepare"),
    ("preprocessing", "prepare"),
    ("augmentation", "augment"),
    ("augmentations", "augment"),
    ("augments", "augment"),
];

const SOURCE: &str = "a source is a reader with its files: `train = idx(\"images\", \"labels\")`";

/// Settings of `data` without a counterpart of one name.
pub(super) const DATA_WAYS: [(&str, &str); 11] = [
    ("path", SOURCE),
    ("paths", SOURCE),
    ("file", SOURCE),
    ("files", SOURCE),
    ("root", SOURCE),
    ("dir", SOURCE),
    ("source", SOURCE),
    ("reader", SOURCE),
    ("batch", "how many examples a step takes is said in `train`: `batch = 64`"),
    ("batch_size", "how many examples a step takes is said in `train`: `batch = 64`"),
    ("shuffle", "the examples are shuffled in every epoch, by `seed` of `train`: leave it out"),
];
