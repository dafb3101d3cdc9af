//! Cases: small models in `tests/cases`, each beside what checking it prints.
//!
//! A case begins with `# test: check`, possibly followed by a line `# dims: T=8, S=4`. What `check` says about
//! the text after those lines stands in the `.stderr` file of the same name. `NNC_BLESS=1` rewrites it. One that begins
//! with `# test: train` is compiled as by `train`, which reads the examples; of one that begins with `# test: files` the
//! files of the data, which stand beside it, are looked into as by `nnc check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::diagnostic::{CODES, Colour, Diagnostic, Findings, explain, render_all};
use nnc::elaborate::load;
use nnc::source::Loader;
use nnc::{Request, compile, examine, look_into};
use nnc_runtime::artifact::Role;
use nnc_wgsl::Profile;

/// Files beside the case.
struct Beside(PathBuf);

impl Loader for Beside {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(self.0.join(path)).map_err(|_| "there is no such file".to_owned())?;
        Ok((path.to_owned(), text))
    }
}

/// Every case below `folder`, in order.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of cases can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            out.extend(cases(&path));
        } else if path.extension().is_some_and(|extension| extension == "nn") {
            out.push(path);
        }
    }
    out.sort();
    out
}

/// The first line of a case that is compiled as by `train`.
const TRAIN: &str = "# test: train\n";

/// The first line of a case whose data files are looked into.
const FILES: &str = "# test: files\n";

fn is_case(text: &str) -> bool {
    text.starts_with("# test: check\n") || text.starts_with(TRAIN) || text.starts_with(FILES)
}

fn diagnostics(text: &str, folder: &Path) -> (Vec<Diagnostic>, String) {
    let dims: Vec<(String, usize)> = text
        .lines()
        .find_map(|line| line.strip_prefix("# dims: "))
        .unwrap_or("")
        .split(", ")
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, extent)| (name.to_owned(), extent.parse().expect("an extent is a number")))
        .collect();
    let model: String = text
        .split_inclusive('\n')
        .skip_while(|line| line.starts_with("# test:") || line.starts_with("# dims:"))
        .collect();
    let loaded = load("model.nn", &model, &[], &Beside(folder.to_owned()));
    let mut found = Findings::default();
    found.extend(loaded.diagnostics);
    let bundle = Arc::new(loaded.value);
    if !found.has_errors() {
        let profile = Profile::named("webgpu-default").expect("the profile exists");
        if text.starts_with(TRAIN) {
            let request = Request { dims, reads_data: true, ..Request::new(profile, &[Role::Train]) };
            found.extend(compile(&bundle, &request).diagnostics);
        } else {
            let examined = examine(&bundle, &Request { dims, ..Request::new(profile, &[]) });
            found.extend(examined.diagnostics);
            for data in examined.value.iter().filter(|_| text.starts_with(FILES)) {
                found.extend(look_into(&bundle, data, folder, &|path| Some(fs::metadata(path).ok()?.len())));
            }
        }
    }
    let found = found.finish();
    let printed = render_all(&found, bundle.sources(), Colour::Never);
    (found, printed.replace(&format!("{}/", folder.display()), ""))
}

#[test]
fn every_case_prints_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let bless = std::env::var_os("NNC_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in cases(&folder) {
        let text = fs::read_to_string(&path).expect("a case is text");
        if !is_case(&text) {
            continue;
        }
        count += 1;
        let (_, printed) = diagnostics(&text, path.parent().unwrap_or(&folder));
        let beside = path.with_extension("stderr");
        if bless {
            fs::write(&beside, &printed).expect("the expected text can be written");
            continue;
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if expected != printed {
            wrong.push(format!("{}\nexpected:\n{expected}\nfound:\n{printed}", path.display()));
        }
    }
    assert!(count > 60, "only {count} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn every_case_of_a_code_finds_that_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    for path in cases(&folder) {
        let text = fs::read_to_string(&path).expect("a case is text");
        let name = path.file_stem().expect("a case has a name").to_string_lossy().into_owned();
        let code = name.split('_').next().unwrap_or("").to_owned();
        if !is_case(&text) || !code.starts_with(['E', 'W']) {
            continue;
        }
        let (found, printed) = diagnostics(&text, path.parent().unwrap_or(&folder));
        assert!(found.iter().any(|one| one.code == code), "{} finds:\n{printed}", path.display());
    }
}

#[test]
fn every_code_has_a_case_and_a_long_form() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut shown: Vec<String> = Vec::new();
    for path in cases(&folder) {
        let name = path.file_stem().expect("a case has a name").to_string_lossy().into_owned();
        let code = name.split('_').next().unwrap_or("").to_owned();
        if code.starts_with(['E', 'W']) {
            assert!(explain(&code).is_some(), "{code} has no long form");
            shown.push(code);
        }
    }
    for (code, _) in CODES {
        assert!(shown.iter().any(|one| one == code), "{code} has no case");
    }
}
