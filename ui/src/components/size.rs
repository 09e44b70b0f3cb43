//! Tells how large an element is, and again whenever that changes.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::ResizeObserver;

/// Calls `told` with width and height in pixels, now and after each change, until the owner is gone.
pub fn watch_size(root: NodeRef<html::Div>, told: impl Fn(f64, f64) + Clone + 'static) {
    let observer = StoredValue::new_local(None::<(ResizeObserver, Closure<dyn FnMut()>)>);
    Effect::new(move |_| {
        let Some(element) = root.get() else { return };
        let (measured, told) = (element.clone(), told.clone());
        let measure = move || told(f64::from(measured.client_width()), f64::from(measured.client_height()));
        measure();
        let callback = Closure::<dyn FnMut()>::new(measure);
        if let Ok(watcher) = ResizeObserver::new(callback.as_ref().unchecked_ref()) {
            watcher.observe(&element);
            observer.set_value(Some((watcher, callback)));
        }
    });
    on_cleanup(move || {
        if let Some(Some((watcher, _))) = observer.try_update_value(Option::take) {
            watcher.disconnect();
        }
    });
}
