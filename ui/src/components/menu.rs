//! A button that opens a small card under itself; closes on Escape, on a click elsewhere, and when the focus leaves.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{FocusEvent, KeyboardEvent, Node};

/// Which edge of the button the card keeps to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Side {
    #[default]
    Left,
    Right,
    /// Above the button, for controls at the foot of the page.
    Above,
}

#[component]
pub fn Menu(
    /// Accessible name of the button.
    #[prop(into)]
    name: Signal<String>,
    #[prop(optional)] side: Side,
    #[prop(default = "control")] class: &'static str,
    #[prop(default = "")] test: &'static str,
    /// What stands on the button.
    button: ViewFn,
    children: ChildrenFn,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let root = NodeRef::<html::Div>::new();
    let inside = move |target: Option<web_sys::EventTarget>| {
        let node = target.and_then(|target| target.dyn_into::<Node>().ok());
        root.get_untracked().is_some_and(|root| node.is_some_and(|node| root.contains(Some(&node))))
    };
    let handle = window_event_listener(ev::pointerdown, move |event| {
        if open.get_untracked() && !inside(event.target()) {
            open.set(false);
        }
    });
    on_cleanup(move || handle.remove());
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" && open.get_untracked() {
            open.set(false);
            event.stop_propagation();
        }
    };
    let on_leave = move |event: FocusEvent| {
        if event.related_target().is_some() && !inside(event.related_target()) {
            open.set(false);
        }
    };
    let place = match side {
        Side::Left => "card-menu left",
        Side::Right => "card-menu right",
        Side::Above => "card-menu above",
    };
    view! {
        <div class="menu" node_ref=root on:keydown=on_key on:focusout=on_leave>
            <button type="button" class=class aria-haspopup="true" aria-expanded=move || open.get().to_string() aria-label=move || name.get()
                title=move || name.get() data-test=test on:click=move |_| open.update(|open| *open = !*open)>
                {button.run()}
            </button>
            {move || open.get().then(|| view! { <div class=place role="group" aria-label=move || name.get()>{children()}</div> })}
        </div>
    }
}
