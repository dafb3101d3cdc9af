//! Readers of data, and their options, that other frameworks have under other names.

/// What is written here for a reader that is called `name` elsewhere.
pub(in crate::elaborate) fn reader_help(name: &str) -> Option<String> {
    let written = match name.to_lowercase().as_str() {
        "mnist" | "fashion_mnist" | "emnist" => {
            "the files of MNIST are read by `idx(\"train-images\", \"train-labels\")`"
        }
        "numpy" | "npy" | "npz" | "torch" | "pt" | "hdf5" | "h5" | "parquet" | "pickle" | "tensors" => {
            "arrays are read from `safetensors(\"examples.safetensors\")`, a tensor for each field"
        }
        "pandas" | "read_csv" | "table" | "tsv" => {
            "a table is read by `csv(\"table.csv\", columns=[\"a\", \"b\"], label=\"class\")`"
        }
        "imagefolder" | "image_folder" | "folder" | "imagenet" | "image" | "png" | "jpg" | "jpeg" => {
            "pictures in a folder for each class are read by `images(\"folder\")`"
        }
        "text" | "txt" | "textfile" => "a text is read by `characters(\"text.txt\")`",
        _ => return None,
    };
    Some(written.to_owned())
}

/// What is written here for an option of a reader that is called `name` elsewhere.
pub(in crate::elaborate) fn option_of_reader(name: &str) -> Option<String> {
    let ours = match name {
        "features" | "inputs" | "x" | "usecols" | "cols" => "columns",
        "target" | "labels" | "y" | "class" | "label_column" => "label",
        "split" | "rows" | "limit" | "nrows" => "take",
        _ => return None,
    };
    Some(format!("did you mean `{ours}`?"))
}
