//! The YAML editor as a component: the border to the JavaScript that draws it.

use js_sys::Promise;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sidelight_mesh::finding::Finding;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlElement;

use crate::i18n::config::ConfigText;
use crate::i18n::t;

#[wasm_bindgen]
extern "C" {
    /// Loads the bundle on first use.
    #[wasm_bindgen(js_namespace = ["window", "sidelight"], catch)]
    fn vendor() -> Result<Promise, JsValue>;

    type Vendor;
    #[wasm_bindgen(method, js_name = createEditor)]
    fn create_editor(this: &Vendor, parent: &HtmlElement, text: &str, label: &str, on_change: &JsValue) -> Handle;

    type Handle;
    #[wasm_bindgen(method, js_name = setText)]
    fn set_text(this: &Handle, text: &str);
    #[wasm_bindgen(method, js_name = setFindings)]
    fn set_findings(this: &Handle, findings: &str);
    #[wasm_bindgen(method, js_name = setChangedLines)]
    fn set_changed_lines(this: &Handle, lines: &[u32]);
    #[wasm_bindgen(method)]
    fn reveal(this: &Handle, line: u32, column: u32);
    #[wasm_bindgen(method)]
    fn destroy(this: &Handle);
}

/// A place in the text; equal places asked for twice are two wishes, hence the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
    pub wish: u32,
}

/// Keeps `text` and what the editor shows the same; marks findings and changed lines; goes to `place` on demand.
#[component]
pub fn Editor(
    text: RwSignal<String>,
    #[prop(into)] findings: Signal<Vec<Finding>>,
    #[prop(into)] changed: Signal<Vec<u32>>,
    place: RwSignal<Place>,
) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let editor = RwSignal::new_local(None::<Mounted>);
    let failed = RwSignal::new(false);

    root.on_load(move |parent| {
        spawn_local(async move {
            match mount(parent.unchecked_ref(), text).await {
                Ok(mounted) => drop(editor.try_set(Some(mounted))),
                Err(_) => drop(failed.try_set(true)),
            }
        });
    });
    Effect::new(move |_| {
        let now = text.get();
        editor.with(|editor| editor.as_ref().inspect(|e| e.handle.set_text(&now)).is_some())
    });
    Effect::new(move |_| {
        let list = findings.with(|findings| serde_json::to_string(findings).unwrap_or_else(|_| "[]".to_owned()));
        editor.with(|editor| editor.as_ref().inspect(|e| e.handle.set_findings(&list)).is_some())
    });
    Effect::new(move |_| {
        let lines = changed.get();
        editor.with(|editor| editor.as_ref().inspect(|e| e.handle.set_changed_lines(&lines)).is_some())
    });
    Effect::new(move |_| {
        let Place { line, column, .. } = place.get();
        if line > 0 {
            editor.with_untracked(|editor| editor.as_ref().inspect(|e| e.handle.reveal(line, column)).is_some());
        }
    });
    on_cleanup(move || {
        if let Some(Some(mounted)) = editor.try_update(Option::take) {
            mounted.handle.destroy();
        }
    });

    // Without the bundle the text can still be read, changed and saved.
    let plain = move || {
        failed.get().then(|| view! {
            <textarea class="plain-editor" aria-label=t(ConfigText::Yaml) prop:value=move || text.get() on:input=move |e| text.set(event_target_value(&e))></textarea>
        })
    };
    view! { <div class="editor" node_ref=root></div>{plain} }
}

struct Mounted {
    handle: Handle,
    /// Lives as long as the editor may call it.
    _on_change: Closure<dyn FnMut(String)>,
}

async fn mount(parent: &HtmlElement, text: RwSignal<String>) -> Result<Mounted, JsValue> {
    let vendor: Vendor = JsFuture::from(vendor()?).await?.unchecked_into();
    let on_change = Closure::<dyn FnMut(String)>::new(move |now| drop(text.try_set(now)));
    let handle = vendor.create_editor(parent, &text.get_untracked(), t(ConfigText::Yaml), on_change.as_ref());
    Ok(Mounted { handle, _on_change: on_change })
}
