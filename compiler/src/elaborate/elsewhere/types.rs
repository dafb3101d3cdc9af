//! Types that other frameworks and languages have, and those written here.

const TENSOR: &str = "a tensor is `f32[N, 8]`: what its elements are, then its dims";
const FLOATS: &str = "write `f32`: `f32[N, 8]`";
const WHOLE: &str = "write `i32`: `i32[N, 8]`";

/// Their type and what is written here.
pub(super) const TYPES: [(&str, &str); 29] = [
    ("float32", FLOATS),
    ("float64", FLOATS),
    ("float16", FLOATS),
    ("bfloat16", FLOATS),
    ("double", FLOATS),
    ("half", FLOATS),
    ("f64", FLOATS),
    ("bf16", FLOATS),
    ("FloatTensor", FLOATS),
    ("int8", WHOLE),
    ("int16", WHOLE),
    ("int32", WHOLE),
    ("int64", WHOLE),
    ("i8", WHOLE),
    ("i16", WHOLE),
    ("i64", WHOLE),
    ("long", WHOLE),
    ("LongTensor", WHOLE),
    ("uint8", "bytes are `u8` in `data`, and `f32` to a model"),
    ("byte", "bytes are `u8` in `data`, and `f32` to a model"),
    ("boolean", "write `bool`: `bool[N, 8]`"),
    ("bool_", "write `bool`: `bool[N, 8]`"),
    ("Tensor", TENSOR),
    ("tensor", TENSOR),
    ("array", TENSOR),
    ("Array", TENSOR),
    ("ndarray", TENSOR),
    ("string", "a string is `str`"),
    ("number", "a number known at build time is `int` or `float`"),
];
