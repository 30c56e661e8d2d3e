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
        let name = path.strip_prefix(&console)?.to_str().ok_or("a name that is no text")?;
        let [brotli, gzip] = COMPRESSED.map(|form| {
            let path = with_ending(path, form);
            if path.exists() { format!("Some(include_bytes!({path:?}))") } else { "None".to_owned() }
        });
        let path = format!("/{name}");
        let file = console.join(name);
        writeln!(
            table,
            "    File {{ path: {path:?}, plain: include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip} }},"
        )?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("console.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
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
