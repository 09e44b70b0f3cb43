//! Gathers the dashboard's files for embedding: the built ones, or one page that says how to build them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folder with a built dashboard, instead of `ui/dist`.
const DIST_VARIABLE: &str = "SIDELIGHT_UI_DIST";
/// Set for packaging: a program without the dashboard is then an error.
const REQUIRE_VARIABLE: &str = "SIDELIGHT_REQUIRE_UI";

const PLACEHOLDER: &str = include_str!("placeholder.html");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-env-changed={DIST_VARIABLE}");
    println!("cargo:rerun-if-env-changed={REQUIRE_VARIABLE}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=placeholder.html");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let named = env::var_os(DIST_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dist = named.unwrap_or_else(|| here.join("../ui/dist"));
    println!("cargo:rerun-if-changed={}", watched(&dist).display());

    let target = PathBuf::from(env::var("OUT_DIR")?).join("dashboard");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    if dist.join("index.html").is_file() {
        copy(&dist, &target)?;
    } else if env::var_os(REQUIRE_VARIABLE).is_some_and(|value| !value.is_empty()) {
        return Err(format!("{} holds no dashboard: run `cargo xtask ui` first", dist.display()).into());
    } else {
        println!("cargo:warning=without the dashboard: `cargo xtask ui` builds it");
        fs::create_dir_all(&target)?;
        fs::write(target.join("index.html"), PLACEHOLDER)?;
    }
    Ok(())
}

/// The folder itself, with everything in it; while it does not exist, the nearest folder that does. Cargo would take a path
/// that does not exist for changed at every build, and would not see it come with a path that has nothing to do with it.
fn watched(dist: &Path) -> &Path {
    dist.ancestors().find(|folder| folder.is_dir()).unwrap_or(dist)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // Followed, not copied: a link in the folder stands for its file.
        if fs::metadata(entry.path())?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
