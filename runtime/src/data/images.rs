//! `images("folder")`: PNG and JPEG files, decoded when they are asked for, each channel from 0 to 1.
//!
//! The first field is a picture, `f32[3, H, W]` or `f32[1, H, W]`. With a second field, each folder within the folder
//! is a class, and the field is its number in the order of names. The examples come in an order that is drawn once
//! for all from their number, so that `take=0..0.9` has some of every class.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::{one_file, unreadable};
use super::image::{Pictures, Step};
use super::order::permutation;
use crate::artifact::{Argument, Field, Part};
use crate::mapped::Bytes;
use crate::reader::{AUGMENT, PREPARE};

/// The ends of the names of files that are read.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The fields of a part: pictures, and their classes.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    let wrong = |what| DataError::Argument { reader: part.reader.clone(), what };
    let [picture, rest @ ..] = fields else {
        return Err(wrong("it feeds a picture, and the data has no field".to_owned()));
    };
    if rest.len() > 1 {
        return Err(wrong(format!("it feeds a picture and its class; the data has {} fields", fields.len())));
    }
    let folder = base.join(one_file(part)?);
    let found = if rest.is_empty() {
        pictures(&folder)?.into_iter().map(|file| (file, 0)).collect()
    } else {
        by_class(&folder)?
    };
    let order = permutation(found.len(), 0, 0);
    let (files, classes): (Vec<PathBuf>, Vec<i32>) =
        order.iter().map(|&place| found[place as usize].clone()).unzip();
    let examples = files.len();
    let (prepare, augment) = (steps(part, PREPARE), steps(part, AUGMENT));
    let mut columns = vec![Column::of_pictures(picture, Pictures::new(picture, files, prepare, augment)?)];
    if let [label] = rest {
        let bytes = classes.iter().flat_map(|class| class.to_le_bytes()).collect();
        let bytes = Bytes::Owned(Arc::new(bytes));
        columns.push(Column::new(label, &folder, Storage::I32, examples, &[], bytes)?);
    }
    Ok(columns)
}

/// Whether the files hold unsigned bytes, which they do, but not as they are uploaded. Held against the fields is the
/// first picture that is found: a folder may hold a million.
pub(super) fn glance(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<bool>, DataError> {
    let folder = base.join(one_file(part)?);
    let listed = if fields.len() > 1 { classes(&folder)? } else { sorted(entries(&folder)?) };
    let first = listed.into_iter().find_map(|entry| {
        let listed = if entry.is_dir() { entries(&entry).ok()? } else { vec![entry] };
        listed.into_iter().find(|entry| entry.is_file() && is_picture(entry))
    });
    if let (Some(first), Some(picture)) = (first, fields.first()) {
        Pictures::new(picture, vec![first], steps(part, PREPARE), steps(part, AUGMENT))?;
    }
    Ok(vec![false; fields.len()])
}

/// The steps of a group, whose names and arguments [`crate::reader::Reader::check`] has looked at.
fn steps(part: &Part, group: &str) -> Vec<Step> {
    let listed = part.options.iter().filter(|(name, _)| name == group);
    let steps = listed.flat_map(|(_, value)| match value {
        Argument::List(steps) => steps.as_slice(),
        _ => &[],
    });
    let read = |step: &Argument| match step {
        Argument::List(step) => match step.as_slice() {
            [_, Argument::Text(name), arguments @ ..] => Step::of(name, arguments),
            _ => None,
        },
        _ => None,
    };
    steps.filter_map(read).collect()
}

/// All files of the classes, with the number of their class.
fn by_class(folder: &Path) -> Result<Vec<(PathBuf, i32)>, DataError> {
    let mut found = Vec::new();
    for (class, number) in classes(folder)?.iter().zip(0..) {
        found.extend(pictures(class)?.into_iter().map(|file| (file, number)));
    }
    Ok(found)
}

/// The folders of the classes, in the order of their numbers.
fn classes(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let classes = sorted(entries(folder)?.into_iter().filter(|entry| entry.is_dir()).collect());
    if classes.is_empty() {
        return Err(DataError::NoClasses { path: folder.to_owned() });
    }
    Ok(classes)
}

/// The picture files in a folder and the folders within, in the order of their names.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    Ok(sorted(files))
}

fn sorted(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths
}

/// Adds the picture files in a folder and the folders within.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for entry in entries(folder)? {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if is_picture(&entry) {
            files.push(entry);
        }
    }
    Ok(())
}

fn is_picture(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// What lies in a folder, but for hidden files; a link to a folder is not followed, as it may lead back.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listed = fs::read_dir(folder).map_err(|e| match e.kind() {
        ErrorKind::NotFound => DataError::NoFolder { path: folder.to_owned() },
        ErrorKind::NotADirectory => DataError::Foreign {
            path: folder.to_owned(),
            format: "folder of pictures",
            cause: "it is a file".to_owned(),
        },
        _ => unreadable(folder, &e),
    })?;
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|e| unreadable(folder, &e))?;
        let is_linked_folder = entry.path().is_symlink() && entry.path().is_dir();
        if !entry.file_name().to_string_lossy().starts_with('.') && !is_linked_folder {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::Element;

    use super::super::image::Draw;
    use super::*;

    fn picture(path: &Path, height: u32, width: u32, level: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let bytes: Vec<u8> = (0..height * width).map(|place| level.saturating_add(place as u8 % 3)).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    }

    fn fields(shape: &[usize], classes: i64) -> [Field; 2] {
        let field = |name: &str, element, shape: &[usize], range| Field {
            name: name.to_owned(),
            element,
            shape: shape.to_vec(),
            range,
        };
        [field("image", Element::F32, shape, None), field("label", Element::I32, &[], Some((0, classes)))]
    }

    fn part(options: &[(&str, &str, f64)]) -> Part {
        let group = |group: &str| {
            let steps = options.iter().filter(|(of, ..)| *of == group).map(|(_, name, size)| {
                let named = ["image", name].map(|text| Argument::Text(text.to_owned())).to_vec();
                Argument::List([named, vec![Argument::Number(*size)]].concat())
            });
            (group.to_owned(), Argument::List(steps.collect()))
        };
        Part {
            name: "train".to_owned(),
            reader: "images".to_owned(),
            paths: vec!["pictures".to_owned()],
            options: vec![group(PREPARE), group(AUGMENT)],
            origin: None,
        }
    }

    fn example(column: &Column, index: usize, draw: Option<Draw>) -> Vec<f32> {
        let mut out = vec![0; column.uploaded_bytes()];
        column.write_example(index, draw, &mut out).unwrap();
        out.as_chunks::<4>().0.iter().map(|w| f32::from_le_bytes(*w)).collect()
    }

    #[test]
    fn folders_are_classes_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("pictures");
        for (class, level) in [("cat", 10), ("dog", 110), ("ape", 210)] {
            for number in 0..4 {
                picture(&base.join(format!("{class}/{number}.PNG")), 2, 3, level);
            }
        }
        fs::write(base.join("cat/notes.txt"), "no picture").unwrap();
        fs::write(base.join("cat/.hidden.png"), "no picture").unwrap();
        let columns = read(&part(&[]), &fields(&[1, 2, 3], 3), folder.path()).unwrap();
        assert_eq!(columns[0].examples(), 12);
        let mut seen = [0; 3];
        for index in 0..12 {
            let mut class = [0; 4];
            columns[1].write_example(index, None, &mut class).unwrap();
            let class = i32::from_le_bytes(class) as usize;
            let level = (example(&columns[0], index, None)[0] * 255.0).round();
            assert_eq!(level, [210.0, 10.0, 110.0][class]);
            seen[class] += 1;
        }
        assert_eq!(seen, [4; 3]);
        let first: Vec<f32> = (0..6).map(|index| example(&columns[0], index, None)[0]).collect();
        assert!(first.iter().any(|level| *level != first[0]), "`take` has some of every class");
        let few = read(&part(&[]), &fields(&[1, 2, 3], 2), folder.path()).unwrap_err().to_string();
        assert!(few.contains("`label` is in 0..2"), "{few}");
    }

    #[test]
    fn steps_bring_pictures_to_one_size_and_draws_are_for_training() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..4u8 {
            picture(&folder.path().join(format!("pictures/x/{number}.png")), 20 + u32::from(number), 30, 50);
        }
        let steps = [
            (PREPARE, "resize", 16.0),
            (PREPARE, "center_crop", 12.0),
            (AUGMENT, "random_resized_crop", 12.0),
        ];
        let [image, _] = fields(&[3, 12, 12], 1);
        let columns = read(&part(&steps), &[image], folder.path()).unwrap();
        let draw = |epoch| Some(Draw::new(1, epoch));
        for index in 0..4 {
            assert_eq!(example(&columns[0], index, None), example(&columns[0], index, None));
            assert_eq!(example(&columns[0], index, draw(1)), example(&columns[0], index, draw(1)));
            assert_ne!(example(&columns[0], index, draw(1)), example(&columns[0], index, draw(2)));
            assert_ne!(example(&columns[0], index, draw(1)), example(&columns[0], index, None));
        }
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let message = |shape: &[usize], fields_used: usize, steps: &[(&str, &str, f64)]| {
            let fields = fields(shape, 2);
            read(&part(steps), &fields[..fields_used], folder.path()).unwrap_err().to_string()
        };
        assert!(message(&[1, 2, 3], 2, &[]).contains("there is no folder"));
        fs::write(folder.path().join("pictures"), "a file").unwrap();
        assert!(message(&[1, 2, 3], 1, &[]).contains("it is a file"));
        fs::remove_file(folder.path().join("pictures")).unwrap();
        picture(&folder.path().join("pictures/one.png"), 2, 3, 9);
        assert!(message(&[1, 2, 3], 2, &[]).contains("has no folders within, one for each class"));
        let size = message(&[1, 4, 4], 1, &[]);
        assert!(size.contains("has 2 rows and 3 columns") && size.contains("center_crop"), "{size}");
        let crop = message(&[1, 4, 4], 1, &[(PREPARE, "center_crop", 4.0)]);
        assert!(
            crop.contains("`center_crop(4)` does not work on") && crop.contains("put `resize(4)`"),
            "{crop}"
        );
        assert!(message(&[2, 4, 4], 1, &[]).contains("a picture is f32[3, height, width]"));
    }
}
