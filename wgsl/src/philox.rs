//! Random numbers by counting: Philox4x32-10, as WGSL text and as the same function in Rust.
//!
//! Element `e` of stream `s` at step `t` under seed `k` is lane `e % 4` of the block with counter
//! `(e / 4, s, t, 0)` and key `(k, 0x6e6e6331)`. Nothing is stored: a mask can be made again in the gradient,
//! and a resumed run continues bit for bit.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const KEY: u32 = 0x6e6e_6331;

/// The WGSL function `philox(counter: vec4<u32>, seed: u32) -> vec4<f32>`: four numbers in [0, 1).
pub(crate) const WGSL: &str = "\
fn high_product(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let middle = ah * bl + ((al * bl) >> 16u);
  let carry = al * bh + (middle & 0xffffu);
  return ah * bh + (middle >> 16u) + (carry >> 16u);
}
fn philox(counter: vec4<u32>, seed: u32) -> vec4<f32> {
  var c = counter;
  var k0 = seed;
  var k1 = 0x6e6e6331u;
  for (var round = 0u; round < 10u; round += 1u) {
    let high0 = high_product(0xd2511f53u, c.x);
    let high1 = high_product(0xcd9e8d57u, c.z);
    c = vec4<u32>(high1 ^ c.y ^ k0, 0xcd9e8d57u * c.z, high0 ^ c.w ^ k1, 0xd2511f53u * c.x);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return vec4<f32>(c >> vec4<u32>(8u)) * vec4<f32>(5.9604645e-8f);
}
";

/// Elements `first`, `first + stride`, .. of a random stream, as [`random_uniform`] gives them; `key` is seed, step and
/// stream.
pub fn random_uniforms(key: [u32; 3], first: u32, stride: u32, into: &mut [f32]) {
    let [seed, step, stream] = key;
    let mut element = first;
    let mut known = (u32::MAX, [0.0; 4]);
    for lane in into {
        if known.0 != element / 4 {
            #[allow(clippy::cast_precision_loss)]
            let uniform = |bits: u32| (bits >> 8) as f32 / 16_777_216.0;
            known = (element / 4, block([element / 4, stream, step, 0], [seed, KEY]).map(uniform));
        }
        *lane = known.1[(element % 4) as usize];
        element = element.wrapping_add(stride);
    }
}

/// Element `element` of random stream `stream`, uniform in [0, 1); the bits that a kernel computes.
#[must_use]
pub fn random_uniform(seed: u32, step: u32, stream: u32, element: u32) -> f32 {
    let block = block([element / 4, stream, step, 0], [seed, KEY]);
    #[allow(clippy::cast_precision_loss)]
    let whole = (block[(element % 4) as usize] >> 8) as f32;
    whole / 16_777_216.0
}

fn block(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let (high0, low0) = product(MULTIPLIERS[0], c[0]);
        let (high1, low1) = product(MULTIPLIERS[1], c[2]);
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

#[allow(clippy::cast_possible_truncation)]
fn product(a: u32, b: u32) -> (u32, u32) {
    let wide = u64::from(a) * u64::from(b);
    ((wide >> 32) as u32, wide as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_match_the_published_vectors() {
        let ones = u32::MAX;
        let table = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in table {
            assert_eq!(block(counter, key), expected);
        }
    }

    #[test]
    fn many_numbers_are_those_of_each_element() {
        for (first, stride) in [(0, 1), (5, 1), (3, 7), (9, 0)] {
            let mut many = [0.0; 11];
            random_uniforms([7, 2, 3], first, stride, &mut many);
            let each: Vec<f32> = (0..11).map(|k| random_uniform(7, 2, 3, first + k * stride)).collect();
            assert_eq!(many[..], each);
        }
    }

    #[test]
    fn numbers_fill_the_unit_interval() {
        let numbers: Vec<f32> = (0..4096).map(|e| random_uniform(7, 1, 3, e)).collect();
        assert!(numbers.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = numbers.iter().sum::<f32>() / 4096.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
