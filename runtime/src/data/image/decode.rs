//! Decoding PNG and JPEG files, told apart by how they begin.
//!
//! Grey pictures feed three channels alike; a picture in colour feeds one channel with its luma
//! (0.299 red + 0.587 green + 0.114 blue: ITU-R BT.601). Transparency is left out, and 16 bits are cut to 8.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use zune_jpeg::JpegDecoder;

use super::Image;
use crate::cause::cause;
use crate::data::error::DataError;

/// The first bytes of a PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The first bytes of a JPEG file.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// The most bytes that a picture may take in memory: a small file can unpack to any size.
const LIMIT: usize = 1 << 30;

/// Bytes of a picture, `[height, width, samples]`; the last of 2 or 4 samples is transparency.
struct Pixels {
    height: usize,
    width: usize,
    samples: usize,
    bytes: Vec<u8>,
}

/// The picture in a file, with this many channels: 1 or 3.
///
/// # Errors
/// If it cannot be read, is of another format, or is damaged.
pub(super) fn decode(path: &Path, channels: usize) -> Result<Image, DataError> {
    let file =
        fs::read(path).map_err(|e| DataError::Unreadable { path: path.to_owned(), cause: cause(&e) })?;
    let decoded = if file.starts_with(PNG) {
        decode_png(&file)
    } else if file.starts_with(JPEG) {
        decode_jpeg(&file)
    } else {
        return Err(DataError::Foreign {
            path: path.to_owned(),
            format: "PNG or JPEG",
            cause: "it begins as neither does".to_owned(),
        });
    };
    let pixels = decoded.map_err(|cause| DataError::Picture { path: path.to_owned(), cause })?;
    Ok(planes(&pixels, channels))
}

fn decode_png(file: &[u8]) -> Result<Pixels, String> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: LIMIT });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size = reader.output_buffer_size().filter(|&size| size <= LIMIT);
    let mut bytes = vec![0; size.ok_or("it is larger than 1 GiB")?];
    let frame = reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
    bytes.truncate(frame.buffer_size());
    let samples = frame.color_type.samples();
    Ok(Pixels { height: frame.height as usize, width: frame.width as usize, samples, bytes })
}

fn decode_jpeg(file: &[u8]) -> Result<Pixels, String> {
    // What is missing at the end is decoded as grey, without an error.
    let scan = file
        .windows(2)
        .rposition(|pair| pair == [0xff, 0xda])
        .ok_or("it is cut short: it ends before the picture begins")?;
    if !file[scan..].windows(2).any(|pair| pair == [0xff, 0xd9]) {
        return Err("it is cut short: the marker of its end is missing".to_owned());
    }
    let mut decoder = JpegDecoder::new(Cursor::new(file));
    let bytes = decoder.decode().map_err(|e| format!("{e:?}"))?;
    let info = decoder.info().ok_or("it has no header")?;
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    Ok(Pixels { height, width, samples: bytes.len() / (height * width).max(1), bytes })
}

fn planes(pixels: &Pixels, channels: usize) -> Image {
    let count = pixels.height * pixels.width;
    let mut values = vec![0.0; channels * count];
    for (place, pixel) in pixels.bytes.chunks_exact(pixels.samples).enumerate() {
        let level = |sample: usize| f32::from(pixel[sample]) / 255.0;
        let colour = if pixels.samples < 3 { [level(0); 3] } else { [level(0), level(1), level(2)] };
        match channels {
            1 if pixels.samples < 3 => values[place] = colour[0],
            1 => values[place] = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2],
            _ => {
                for (channel, level) in colour.into_iter().enumerate() {
                    values[channel * count + place] = level;
                }
            }
        }
    }
    Image { channels, height: pixels.height, width: pixels.width, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 rows of 16 columns, the left half (200, 40, 40), the right one (30, 60, 220), and 8 x 8 of 90.
    const COLOUR: &[u8] = include_bytes!("samples/colour.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("samples/progressive.jpg");
    const INKS: &[u8] = include_bytes!("samples/inks.jpg");
    const GREY: &[u8] = include_bytes!("samples/grey.jpg");

    fn decoded(file: &[u8], channels: usize) -> Result<Image, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        fs::write(&path, file).unwrap();
        decode(&path, channels)
    }

    fn near(found: &Image, place: usize, expected: &[f32]) {
        let count = found.height * found.width;
        for (channel, level) in expected.iter().enumerate() {
            let value = found.values[channel * count + place] * 255.0;
            assert!((value - level).abs() <= 12.0, "channel {channel} has {value}, not {level}");
        }
    }

    fn png(color: png::ColorType, depth: png::BitDepth, width: u32, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 51, 102, 255]);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file
    }

    #[test]
    fn jpeg_files_of_every_kind_are_read() {
        for file in [COLOUR, PROGRESSIVE, INKS] {
            let image = decoded(file, 3).unwrap();
            assert_eq!((image.channels, image.height, image.width), (3, 8, 16));
            near(&image, 0, &[200.0, 40.0, 40.0]);
            near(&image, 127, &[30.0, 60.0, 220.0]);
        }
        near(&decoded(GREY, 3).unwrap(), 9, &[90.0; 3]);
        near(&decoded(GREY, 1).unwrap(), 9, &[90.0]);
        near(&decoded(COLOUR, 1).unwrap(), 0, &[0.299 * 200.0 + 0.701 * 40.0]);
    }

    #[test]
    fn png_files_of_every_kind_are_read() {
        use png::{BitDepth, ColorType};
        let levels = |file: &[u8], channels| {
            let values = decoded(file, channels).unwrap().values;
            values.iter().map(|value| (value * 255.0).round() as u8).collect::<Vec<_>>()
        };
        let eight = BitDepth::Eight;
        assert_eq!(levels(&png(ColorType::Rgb, eight, 2, &[1, 2, 3, 4, 5, 6]), 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(levels(&png(ColorType::Rgba, eight, 1, &[1, 2, 3, 0]), 3), [1, 2, 3]);
        assert_eq!(levels(&png(ColorType::Grayscale, eight, 2, &[7, 9]), 3), [7, 9, 7, 9, 7, 9]);
        assert_eq!(levels(&png(ColorType::GrayscaleAlpha, eight, 1, &[7, 0]), 1), [7]);
        assert_eq!(levels(&png(ColorType::Grayscale, BitDepth::One, 3, &[0b0110_0000]), 1), [0, 255, 255]);
        assert_eq!(levels(&png(ColorType::Grayscale, BitDepth::Sixteen, 1, &[9, 200]), 1), [9]);
        assert_eq!(levels(&png(ColorType::Indexed, eight, 2, &[1, 0]), 3), [51, 1, 102, 2, 255, 3]);
        assert_eq!(levels(&png(ColorType::Rgb, eight, 1, &[100, 200, 50]), 1), [153]);
    }

    #[test]
    fn every_prefix_of_a_picture_is_an_error() {
        let picture = png(png::ColorType::Rgb, png::BitDepth::Eight, 2, &[1, 2, 3, 4, 5, 6]);
        // The last chunk of a PNG file holds nothing.
        let files = [(&picture[..picture.len() - 12], "PNG"), (COLOUR, "JPEG"), (PROGRESSIVE, "progressive")];
        for (file, kind) in files {
            for length in 0..file.len() {
                assert!(decoded(&file[..length], 3).is_err(), "{length} bytes of {kind}");
            }
        }
    }

    #[test]
    fn what_is_no_picture_is_said() {
        let message = decoded(b"GIF89a", 3).unwrap_err().to_string();
        assert!(message.contains("is no PNG or JPEG file"), "{message}");
        let message = decoded(&COLOUR[..200], 3).unwrap_err().to_string();
        assert!(message.contains("cut short") && message.contains("take it out of the folder"), "{message}");
    }
}
