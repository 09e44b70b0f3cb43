//! The dashboard: a single page that reads the collector's JSON and draws it.

#[macro_use]
mod i18n;

mod app;
mod client;
mod components;
pub mod model;
mod pages;
mod platform;
mod state;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs when the browser has loaded the module.
#[wasm_bindgen(start)]
pub fn main() {
    platform::report_panics();
    platform::remove_element("boot");
    leptos::mount::mount_to_body(app::App);
}
