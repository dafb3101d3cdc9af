//! What `prepare` and `augment` do to a picture before it has the field's size.

use std::fmt;

use nnc_wgsl::random_uniform;

use super::Image;
use super::resample::{Part, cut, resample};
use crate::artifact::Argument;

/// The random stream of pictures; training programs number theirs from 0.
const STREAM: u32 = 0x5069_c7e5;

/// The draws that one step of one example may take.
const DRAWS: u32 = 64;

/// The steps that one example may have draws of its own for.
const STEPS: u32 = 4;

/// A step; sizes in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Step {
    /// The shorter side to this size, the other in proportion.
    Resize(usize),
    /// The square in the middle.
    CenterCrop(usize),
    /// A random part, of 8 to 100 % of the picture and 3/4 to 4/3 as wide as high, brought to a square.
    /// Source: Szegedy et al. 2014, *Going deeper with convolutions*, section 6.
    RandomResizedCrop(usize),
    /// The longer side to this size, grey around.
    Letterbox(usize),
}

/// Where random numbers of an epoch come from.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::data) struct Draw {
    pub(in crate::data) seed: u64,
    pub(in crate::data) epoch: u64,
    first: u32,
}

impl Draw {
    pub(in crate::data) fn new(seed: u64, epoch: u64) -> Draw {
        Draw { seed, epoch, first: 0 }
    }

    /// The draws of one step of one example.
    pub(super) fn of(self, example: usize, step: usize) -> Draw {
        let number = (example as u32).wrapping_mul(STEPS).wrapping_add(step as u32 % STEPS);
        Draw { first: number.wrapping_mul(DRAWS), ..self }
    }

    /// Draw number `place`, from 0 up to but not including 1.
    fn uniform(self, place: u32) -> f64 {
        let element = self.first.wrapping_add(place);
        f64::from(random_uniform(self.seed as u32, self.epoch as u32, STREAM, element))
    }

    /// A whole number below `count`, at least 1.
    fn below(self, place: u32, count: usize) -> usize {
        ((self.uniform(place) * count as f64) as usize).min(count - 1)
    }
}

impl Step {
    /// The step of this name with these arguments, which [`crate::reader::Reader::check`] has looked at.
    pub(in crate::data) fn of(name: &str, arguments: &[Argument]) -> Option<Step> {
        let [Argument::Number(size)] = arguments else { return None };
        let size = *size as usize;
        match name {
            "resize" => Some(Step::Resize(size)),
            "center_crop" => Some(Step::CenterCrop(size)),
            "random_resized_crop" => Some(Step::RandomResizedCrop(size)),
            "letterbox" => Some(Step::Letterbox(size)),
            _ => None,
        }
    }

    /// The picture after the step.
    ///
    /// # Errors
    /// Half a sentence, if the picture is too small.
    pub(super) fn apply(self, image: &Image, draw: Draw) -> Result<Image, String> {
        let (height, width) = (image.height, image.width);
        Ok(match self {
            Step::Resize(size) => {
                let (height, width) = in_proportion(height, width, height.min(width), size);
                resample(image, height, width)
            }
            Step::CenterCrop(size) if height < size || width < size => {
                return Err(format!(
                    "it has {height} rows and {width} columns there; put `resize({size})` before"
                ));
            }
            Step::CenterCrop(size) => {
                let part =
                    Part { top: half(height - size), left: half(width - size), height: size, width: size };
                cut(image, part)
            }
            Step::RandomResizedCrop(size) => {
                resample(&cut(image, random_part(height, width, draw)), size, size)
            }
            Step::Letterbox(size) => {
                let (height, width) = in_proportion(height, width, height.max(width), size);
                framed(&resample(image, height, width), size)
            }
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Resize(size) => write!(f, "resize({size})"),
            Step::CenterCrop(size) => write!(f, "center_crop({size})"),
            Step::RandomResizedCrop(size) => write!(f, "random_resized_crop({size})"),
            Step::Letterbox(size) => write!(f, "letterbox({size})"),
        }
    }
}

/// Both sides where the one that is `side` long becomes `size`.
fn in_proportion(height: usize, width: usize, side: usize, size: usize) -> (usize, usize) {
    let scaled = |length: usize| (length * size / side).max(1);
    (scaled(height), scaled(width))
}

/// Half of a difference, the even one of two that are as near.
fn half(difference: usize) -> usize {
    (difference as f64 / 2.0).round_ties_even() as usize
}

fn random_part(height: usize, width: usize, draw: Draw) -> Part {
    let area = (height * width) as f64;
    for attempt in 0..10 {
        let place = 4 * attempt;
        let target = area * (0.08 + 0.92 * draw.uniform(place));
        let widest = (4.0f64 / 3.0).ln();
        let ratio = (widest * (2.0 * draw.uniform(place + 1) - 1.0)).exp();
        let (w, h) = ((target * ratio).sqrt().round() as usize, (target / ratio).sqrt().round() as usize);
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = draw.below(place + 2, height - h + 1);
            let left = draw.below(place + 3, width - w + 1);
            return Part { top, left, height: h, width: w };
        }
    }
    // A picture so long that no part fits: the middle, as wide as is allowed.
    let h = height.min((width as f64 * 4.0 / 3.0).round() as usize).max(1);
    let w = width.min((height as f64 * 4.0 / 3.0).round() as usize).max(1);
    Part { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
}

/// The picture in the middle of a grey square.
fn framed(image: &Image, size: usize) -> Image {
    let mut values = vec![0.5; image.channels * size * size];
    let (top, left) = ((size - image.height) / 2, (size - image.width) / 2);
    for (row, pixels) in image.values.chunks_exact(image.width).enumerate() {
        let (channel, row) = (row / image.height, row % image.height);
        let start = (channel * size + top + row) * size + left;
        values[start..start + image.width].copy_from_slice(pixels);
    }
    Image { height: size, width: size, values, ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize) -> Image {
        Image { channels: 1, height, width, values: (0..height * width).map(|i| i as f32).collect() }
    }

    fn size(step: Step, height: usize, width: usize) -> (usize, usize) {
        let image = step.apply(&image(height, width), Draw::default()).unwrap();
        (image.height, image.width)
    }

    #[test]
    fn steps_give_the_sizes_they_say() {
        assert_eq!(size(Step::Resize(10), 40, 30), (13, 10));
        assert_eq!(size(Step::Resize(10), 5, 7), (10, 14));
        assert_eq!(size(Step::CenterCrop(4), 9, 4), (4, 4));
        assert_eq!(size(Step::Letterbox(8), 16, 4), (8, 8));
        assert_eq!(size(Step::RandomResizedCrop(6), 30, 2), (6, 6));
        assert_eq!(size(Step::RandomResizedCrop(6), 1, 400), (6, 6));
        let message = Step::CenterCrop(10).apply(&image(9, 12), Draw::default()).unwrap_err();
        assert!(message.contains("9 rows and 12 columns"), "{message}");
    }

    #[test]
    fn the_middle_is_in_the_middle_and_grey_is_around() {
        let middle = Step::CenterCrop(1).apply(&image(3, 3), Draw::default()).unwrap();
        assert_eq!(middle.values, [4.0]);
        let framed =
            Step::Letterbox(4).apply(&Image { values: vec![1.0; 8], ..image(2, 4) }, Draw::default());
        let expected = [[0.5; 4], [1.0; 4], [1.0; 4], [0.5; 4]].concat();
        assert_eq!(framed.unwrap().values, expected);
    }

    #[test]
    fn a_random_part_is_drawn_from_seed_epoch_and_example_alone() {
        let part = |seed, epoch, example| random_part(200, 300, Draw::new(seed, epoch).of(example, 1));
        assert_eq!(part(1, 2, 3), part(1, 2, 3));
        assert_ne!(part(1, 2, 3), part(1, 2, 4));
        assert_ne!(part(1, 2, 3), part(1, 3, 3));
        assert_ne!(part(1, 2, 3), part(2, 2, 3));
    }

    #[test]
    fn random_parts_are_of_every_size_that_is_allowed() {
        let parts: Vec<Part> = (0..2000).map(|k| random_part(100, 100, Draw::new(7, 0).of(k, 0))).collect();
        let areas = || parts.iter().map(|part| part.height * part.width);
        assert!(areas().all(|area| (780..=10_000).contains(&area)));
        assert!(areas().min().unwrap() < 1000 && areas().max().unwrap() > 9000);
        let ratios = parts.iter().map(|part| part.width as f64 / part.height as f64);
        assert!(ratios.clone().all(|ratio| (0.71..1.4).contains(&ratio)));
        let wide = ratios.filter(|ratio| *ratio > 1.0).count();
        assert!((850..1150).contains(&wide), "{wide}");
        assert!(parts.iter().all(|p| p.top + p.height <= 100 && p.left + p.width <= 100));
    }
}
