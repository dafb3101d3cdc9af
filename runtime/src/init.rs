//! First values of stored tensors, from the seed and the tensor's path alone.

use std::ops::Range;

use nnc_wgsl::{Element, half_bits, random_uniform};

use crate::artifact::{Init, Stored};

/// The first value of a tensor, as the bytes that are stored: row-major, little-endian, whole words. `given` are the
/// artifact's values.
#[must_use]
pub fn first_value(tensor: &Stored, seed: u64, given: &[u8]) -> Vec<u8> {
    let bytes = tensor.element.bytes(tensor.shape.iter().product());
    if let Init::Given { offset } = tensor.init {
        let start = offset as usize;
        return given[start..start + bytes].to_vec();
    }
    first_values(tensor, seed, 0..bytes)
}

/// The bytes `range`, whole words, of the first value of a tensor that is not given as numbers.
///
/// # Panics
/// If the first value is given, or the range begins after its end.
#[must_use]
pub fn first_values(tensor: &Stored, seed: u64, range: Range<usize>) -> Vec<u8> {
    let count: usize = tensor.shape.iter().product();
    let size = match tensor.element {
        Element::F32 | Element::I32 | Element::Bool => 4,
        Element::F16 => 2,
        Element::U8 => 1,
    };
    let elements = (range.start / size).min(count)..(range.end / size).min(count);
    let stream = crc32fast::hash(tensor.path.as_bytes());
    let values = values(&tensor.init, &tensor.shape, elements, seed, stream);
    let mut bytes: Vec<u8> = match tensor.element {
        Element::F32 => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        Element::F16 => values.iter().flat_map(|v| half_bits(*v).to_le_bytes()).collect(),
        Element::I32 => values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect(),
        Element::Bool => values.iter().flat_map(|v| u32::from(*v != 0.0).to_le_bytes()).collect(),
        Element::U8 => values.iter().map(|v| *v as u8).collect(),
    };
    bytes.resize(range.len(), 0);
    bytes
}

fn values(init: &Init, shape: &[usize], elements: Range<usize>, seed: u64, stream: u32) -> Vec<f64> {
    match init {
        Init::Constant(value) => vec![*value; elements.len()],
        Init::Uniform { low, high } => {
            elements.map(|i| low + (high - low) * uniform(seed, stream, i)).collect()
        }
        Init::Normal { mean, std } => elements.map(|i| mean + std * normal(seed, stream, i)).collect(),
        Init::Orthogonal { gain } => {
            let (rows, count) = (shape.first().copied().unwrap_or(1), shape.iter().product());
            let normal = (0..count).map(|i| normal(seed, stream, i)).collect();
            let columns = usize::checked_div(count, rows).unwrap_or(0);
            let whole = orthogonal(normal, rows, columns).into_iter().map(|v| gain * v);
            whole.skip(elements.start).take(elements.len()).collect()
        }
        Init::Values(values) => values[elements].to_vec(),
        Init::Given { .. } => panic!("given values are bytes already"),
    }
}

/// Element `i` of a stream, uniform in [0, 1). Training draws from step 1 on; step 0 is for first values.
fn uniform(seed: u64, stream: u32, i: usize) -> f64 {
    f64::from(random_uniform(seed as u32, 0, stream, i as u32))
}

/// Element `i` of a stream, standard normal (Box and Muller 1958).
fn normal(seed: u64, stream: u32, i: usize) -> f64 {
    let pair = i / 2 * 2;
    let radius = (-2.0 * (1.0 - uniform(seed, stream, pair)).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(seed, stream, pair + 1);
    if i.is_multiple_of(2) { radius * angle.cos() } else { radius * angle.sin() }
}

/// The rows (or, where they are more, the columns) of `[rows, columns]` made orthonormal: Gram-Schmidt, each
/// vector twice.
fn orthogonal(matrix: Vec<f64>, rows: usize, columns: usize) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let at = |vector: usize, k: usize| {
        if rows <= columns { vector * columns + k } else { k * columns + vector }
    };
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for vector in 0..count {
        let mut v: Vec<f64> = (0..length).map(|k| matrix[at(vector, k)]).collect();
        for _ in 0..2 {
            for b in &basis {
                let dot: f64 = b.iter().zip(&v).map(|(x, y)| x * y).sum();
                for (x, y) in v.iter_mut().zip(b) {
                    *x -= dot * y;
                }
            }
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        for x in &mut v {
            *x /= norm;
        }
        basis.push(v);
    }
    let mut result = matrix;
    for (vector, values) in basis.iter().enumerate() {
        for (k, value) in values.iter().enumerate() {
            result[at(vector, k)] = *value;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::StoredKind;

    fn tensor(path: &str, shape: &[usize], init: Init) -> Stored {
        Stored {
            path: path.to_owned(),
            kind: StoredKind::Weight,
            element: Element::F32,
            shape: shape.to_vec(),
            region: 0,
            offset: 0,
            init,
        }
    }

    fn floats(tensor: &Stored, seed: u64) -> Vec<f64> {
        let bytes = first_value(tensor, seed, &[]);
        bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
    }

    #[test]
    fn uniform_values_fill_their_interval() {
        let v = floats(&tensor("w", &[100, 100], Init::Uniform { low: -1.0, high: 3.0 }), 1);
        let mean = v.iter().sum::<f64>() / 1e4;
        assert!(v.iter().all(|x| (-1.0..3.0).contains(x)));
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn normal_values_have_their_mean_and_deviation() {
        let v = floats(&tensor("w", &[20_000], Init::Normal { mean: 2.0, std: 0.5 }), 1);
        let mean = v.iter().sum::<f64>() / 2e4;
        let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4;
        assert!((mean - 2.0).abs() < 0.02 && (variance.sqrt() - 0.5).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn orthogonal_matrices_are_orthogonal_either_way() {
        for (rows, columns) in [(6, 10), (10, 6), (5, 5)] {
            let v = floats(&tensor("w", &[rows, columns], Init::Orthogonal { gain: 2.0 }), 3);
            for a in 0..rows.min(columns) {
                for b in 0..rows.min(columns) {
                    let at = |vector: usize, k: usize| {
                        if rows <= columns { v[vector * columns + k] } else { v[k * columns + vector] }
                    };
                    let dot: f64 = (0..rows.max(columns)).map(|k| at(a, k) * at(b, k)).sum();
                    let expected = if a == b { 4.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-5, "{rows}x{columns} {a} {b}: {dot}");
                }
            }
        }
    }

    #[test]
    fn parts_are_those_of_the_whole() {
        let normal = Init::Normal { mean: 0.0, std: 1.0 };
        let uniform = Init::Uniform { low: 0.0, high: 1.0 };
        let few = Init::Values((0..35).map(f64::from).collect());
        for init in [normal, uniform, few, Init::Constant(2.0), Init::Orthogonal { gain: 1.0 }] {
            let tensor = tensor("w", &[5, 7], init);
            let whole = first_value(&tensor, 1, &[]);
            for (start, end) in [(0, 12), (12, 140), (4, 8), (140, 140)] {
                assert_eq!(first_values(&tensor, 1, start..end), whole[start..end], "{:?}", tensor.init);
            }
        }
    }

    #[test]
    fn values_depend_on_seed_and_path_alone() {
        let init = Init::Uniform { low: 0.0, high: 1.0 };
        let at = |path, seed| floats(&tensor(path, &[4], init.clone()), seed);
        assert_eq!(at("a", 1), at("a", 1));
        assert_ne!(at("a", 1), at("b", 1));
        assert_ne!(at("a", 1), at("a", 2));
    }
}
