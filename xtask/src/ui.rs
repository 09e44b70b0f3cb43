//! Builds the dashboard: Rust to WebAssembly, its JavaScript border, styles and fonts, into `ui/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::assets::Assets;
use crate::browser_target::{self, TARGET};
use crate::npm;
use crate::steps::{announce, execute};
use crate::workspace;

/// A cargo profile, and the folder that cargo names after it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Profile {
    name: &'static str,
    folder: &'static str,
}

const RELEASE: Profile = Profile { name: "wasm-release", folder: "wasm-release" };
const QUICK: Profile = Profile { name: "dev", folder: "debug" };

pub fn run() -> Result<()> {
    build(RELEASE)
}

/// For whoever writes the dashboard: no optimisation and no compression.
pub fn run_quick() -> Result<()> {
    build(QUICK)
}

fn build(profile: Profile) -> Result<()> {
    let wasm = announce("dashboard: compile", || compile(profile))?;
    let ui = workspace::root().join("ui");
    announce("dashboard: npm packages", || npm::install(&ui))?;
    let inputs = fingerprint(&ui, &wasm)?;
    let stamp = workspace::target().join("ui-dist.stamp");
    if ui.join("dist/index.html").is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == inputs) {
        println!("    dashboard: nothing changed since the last build");
        return Ok(());
    }
    announce("dashboard: bundle and compress", || bundle(&ui, &wasm, profile))?;
    fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))
}

fn compile(profile: Profile) -> Result<PathBuf> {
    let toolchain = browser_target::find()?;
    let (mut cargo, target) = toolchain.cargo();
    cargo.args(["build", "--locked", "--package", "sidelight-ui", "--lib", "--target", TARGET, "--profile", profile.name]);
    execute(&mut cargo)?;
    Ok(target.join(TARGET).join(profile.folder).join("sidelight_ui.wasm"))
}

fn bundle(ui: &Path, wasm: &Path, profile: Profile) -> Result<()> {
    let work = workspace::target().join("ui-bundle");
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let assets = Assets::create(&ui.join("dist"), profile == RELEASE)?;

    bind(wasm, &work)?;
    let wasm_url = assets.add("sidelight", "wasm", &read(&work.join("sidelight_ui_bg.wasm"))?)?;
    let glue_url = assets.add("glue", "js", &read(&work.join("sidelight_ui.js"))?)?;
    let vendor_url = assets.add("vendor", "js", &esbuild(ui, &work)?)?;
    // Scripts of their own, so that the page needs no inline script and its content policy can forbid them.
    let boot = fill(&text(&ui.join("js/boot.js"))?, &[("glue", &glue_url), ("wasm", &wasm_url), ("vendor", &vendor_url)])?;
    let boot_url = assets.add("boot", "js", boot.as_bytes())?;
    let theme_url = assets.add("theme", "js", &read(&ui.join("js/theme.js"))?)?;
    let css_url = assets.add("sidelight", "css", styles(ui, &assets)?.as_bytes())?;

    let urls = [("css", &css_url), ("theme", &theme_url), ("boot", &boot_url), ("glue", &glue_url), ("wasm", &wasm_url)];
    let page = fill(&text(&ui.join("index.html"))?, &urls.map(|(name, url)| (name, url.as_str())))?;
    assets.finish(&page)
}

/// Generates the JavaScript that loads the module and lets the two sides call each other.
fn bind(wasm: &Path, work: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(wasm)
        .web(true)
        .context("wasm-bindgen")?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(work)
        .context("wasm-bindgen")
}

/// Bundles what the dashboard takes from npm (editor, charts) into one module.
fn esbuild(ui: &Path, work: &Path) -> Result<Vec<u8>> {
    let output = work.join("vendor.js");
    execute(
        Command::new(ui.join("node_modules/.bin/esbuild"))
            .current_dir(ui)
            .args([
                "js/vendor.js",
                "--bundle",
                "--minify",
                "--format=esm",
                "--target=es2022",
                "--log-level=warning",
                "--legal-comments=none",
            ])
            .arg(format!("--outfile={}", output.display())),
    )?;
    read(&output)
}

/// All style sheets in the order of their names, with the fonts they ask for beside them.
fn styles(ui: &Path, assets: &Assets) -> Result<String> {
    let mut sheets: Vec<PathBuf> = files_below(&ui.join("styles"))?;
    sheets.sort();
    let mut css = String::new();
    for sheet in sheets.iter().filter(|path| path.extension().is_some_and(|e| e == "css")) {
        css.push_str(&text(sheet)?);
        css.push('\n');
    }
    place_fonts(&css, ui, assets)
}

/// Replaces every `url(fonts/NAME.woff2)` by the address of that font, taken from the installed font packages.
fn place_fonts(css: &str, ui: &Path, assets: &Assets) -> Result<String> {
    let mut placed = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("url(fonts/") {
        let Some((name, tail)) = after.split_once(')') else { bail!("a style sheet has an unclosed url(fonts/…") };
        let stem = name.strip_suffix(".woff2").with_context(|| format!("font `{name}` is not a .woff2 file"))?;
        let url = assets.add(stem, "woff2", &read(&find_font(ui, name)?)?)?;
        placed.push_str(before);
        placed.push_str(&format!("url({url})"));
        rest = tail;
    }
    placed.push_str(rest);
    Ok(placed)
}

fn find_font(ui: &Path, name: &str) -> Result<PathBuf> {
    let packages = ui.join("node_modules/@fontsource-variable");
    let folders = fs::read_dir(&packages).with_context(|| format!("cannot read {}", packages.display()))?;
    folders
        .filter_map(|entry| Some(entry.ok()?.path().join("files").join(name)))
        .find(|path| path.is_file())
        .with_context(|| format!("no installed font package holds `{name}`"))
}

fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut page = template.to_owned();
    for (name, value) in values {
        page = page.replace(&format!("{{{{{name}}}}}"), value);
    }
    match page.split_once("{{") {
        Some((_, rest)) => {
            bail!("ui/index.html asks for an unknown value near `{{{{{}`", rest.chars().take(20).collect::<String>())
        }
        None => Ok(page),
    }
}

/// Changes when anything that goes into the bundle does.
fn fingerprint(ui: &Path, wasm: &Path) -> Result<String> {
    let mut inputs = vec![wasm.to_path_buf(), ui.join("index.html"), ui.join("package-lock.json")];
    inputs.extend(files_below(&ui.join("js"))?);
    inputs.extend(files_below(&ui.join("styles"))?);
    inputs.sort();
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(input.to_string_lossy().as_bytes());
        hasher.update(&read(&input)?);
    }
    // The chain itself is an input too.
    hasher.update(&read(&std::env::current_exe().context("cannot tell which program this is")?)?);
    Ok(hasher.finalize().to_hex().to_string())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
