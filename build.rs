//! Lists the console's built files for the binary (`src/web`): their bytes are included, compressed forms and all.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Forms of a file that the console's build leaves beside it (`web/scripts/compressed.ts`).
const COMPRESSED: [&str; 2] = ["br", "gz"];

#[expect(clippy::disallowed_methods, reason = "Cargo speaks to build scripts by variables")]
fn main() -> Result<(), Box<dyn Error>> {
    let console = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("web/dist");
    // Cargo can only watch what exists: without this, a tree without a console would be built anew each time. Where it
    // cannot be made, just that happens.
    let _ = fs::create_dir_all(&console);
    println!("cargo::rerun-if-changed={}", console.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut paths = Vec::new();
    collect(&console, &mut paths)?;
    paths.sort();
    let mut table = String::from("&[\n");
    for path in paths.iter().filter(|path| !is_compressed(path)) {
        let included = |path: &Path| {
            let path = path.to_str().ok_or("a name that is no text")?;
            Ok::<_, Box<dyn Error>>(format!("include_bytes!({path:?})"))
        };
        let mut forms = Vec::new();
        for form in COMPRESSED {
            let path = with_ending(path, form);
            forms.push(if path.exists() { format!("Some({})", included(&path)?) } else { "None".to_owned() });
        }
        let address = format!("/{}", path.strip_prefix(&console)?.to_str().unwrap_or_default());
        let (plain, brotli, gzip) = (included(path)?, &forms[0], &forms[1]);
        writeln!(table, "    File {{ path: {address:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},")?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("console.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // What the build leaves there for its own tools.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether a file is another one in a compressed form.
fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| COMPRESSED.iter().any(|form| ending == *form))
        && path.with_extension("").exists()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}
