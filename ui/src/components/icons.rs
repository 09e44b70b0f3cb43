//! Line icons of 24 units, drawn for this dashboard, and the lantern.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Graph,
    Trace,
    Config,
    Mesh,
    Help,
    Box,
    Down,
    Eye,
    Search,
    Close,
    Clock,
    Pause,
    Play,
    Refresh,
    Sun,
    Moon,
    Copy,
    Check,
    Lock,
    Fit,
    Layout,
    Legend,
    Minus,
    Plus,
    ArrowRight,
    ChevronLeft,
    Right,
    Workload,
    App,
    Service,
    Gateway,
    External,
    Operation,
    Unknown,
    Undo,
    Trash,
}

impl Icon {
    /// Body of the drawing; strokes take the text's colour.
    pub fn body(self) -> &'static str {
        match self {
            Self::Graph => {
                r#"<circle cx="6" cy="12" r="2.6"/><circle cx="18" cy="5.5" r="2.6"/><circle cx="18" cy="18.5" r="2.6"/><path d="m8.3 10.8 7.4-4M8.3 13.2l7.4 4"/>"#
            }
            Self::Trace => r#"<path d="M4 6h9M7 10.5h6M10 15h7M15 19.5h5" stroke-width="2.2"/>"#,
            Self::Right => r#"<path d="m10 7 5 5-5 5"/>"#,
            Self::Config => {
                r#"<path d="M4 7h9M19 7h1M4 17h1M11 17h9"/><circle cx="16" cy="7" r="2.5"/><circle cx="8" cy="17" r="2.5"/>"#
            }
            Self::Mesh => r#"<path d="M12 3.2 19.6 7.6v8.8L12 20.8 4.4 16.4V7.6z"/>"#,
            Self::Help => {
                r#"<circle cx="12" cy="12" r="8.6"/><path d="M9.6 9.6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.2.9-1.2 1.8M12 16.6v.1"/>"#
            }
            Self::Box => r#"<path d="M12 3.6 19 7.4v9.2l-7 3.8-7-3.8V7.4zM5 7.4l7 3.9 7-3.9M12 11.3v9"/>"#,
            Self::Down => r#"<path d="m7 10 5 5 5-5"/>"#,
            Self::Eye => {
                r#"<path d="M2.8 12S6 5.8 12 5.8 21.2 12 21.2 12 18 18.2 12 18.2 2.8 12 2.8 12z"/><circle cx="12" cy="12" r="2.7"/>"#
            }
            Self::Search => r#"<circle cx="11" cy="11" r="6.2"/><path d="m20 20-4.6-4.6"/>"#,
            Self::Close => r#"<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>"#,
            Self::Clock => r#"<circle cx="12" cy="12" r="8.4"/><path d="M12 7.2V12l3.2 2"/>"#,
            Self::Pause => r#"<path d="M9 6.5v11M15 6.5v11" stroke-width="2.4"/>"#,
            Self::Play => r#"<path d="M8.5 6.2v11.6l9-5.8z" fill="currentColor"/>"#,
            Self::Refresh => r#"<path d="M19.4 12a7.4 7.4 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15"/>"#,
            Self::Sun => {
                r#"<circle cx="12" cy="12" r="4"/><path d="M12 2.8v2.4M12 18.8v2.4M2.8 12h2.4M18.8 12h2.4M5.5 5.5l1.7 1.7M16.8 16.8l1.7 1.7M5.5 18.5l1.7-1.7M16.8 7.2l1.7-1.7"/>"#
            }
            Self::Moon => r#"<path d="M19.8 14.2A8.2 8.2 0 0 1 9.8 4.2a8.2 8.2 0 1 0 10 10z"/>"#,
            Self::Copy => {
                r#"<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2"/>"#
            }
            Self::Check => r#"<path d="m5 12.5 4.6 4.6L19 7.4"/>"#,
            Self::Lock => {
                r#"<rect x="5.5" y="10.5" width="13" height="9.5" rx="2"/><path d="M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5"/>"#
            }
            Self::Fit => {
                r#"<path d="M4.5 9V6a1.5 1.5 0 0 1 1.5-1.5h3M15 4.5h3A1.5 1.5 0 0 1 19.5 6v3M19.5 15v3a1.5 1.5 0 0 1-1.5 1.5h-3M9 19.5H6A1.5 1.5 0 0 1 4.5 18v-3"/>"#
            }
            Self::Layout => {
                r#"<rect x="9" y="3.5" width="6" height="5" rx="1.2"/><rect x="3.5" y="15.5" width="6" height="5" rx="1.2"/><rect x="14.5" y="15.5" width="6" height="5" rx="1.2"/><path d="M12 8.5V12M6.5 15.5V12h11v3.5"/>"#
            }
            Self::Legend => {
                r#"<path d="M10 6.5h10M10 12h10M10 17.5h10"/><circle cx="5.4" cy="6.5" r="1.4"/><circle cx="5.4" cy="12" r="1.4"/><circle cx="5.4" cy="17.5" r="1.4"/>"#
            }
            Self::Minus => r#"<path d="M5.5 12h13"/>"#,
            Self::Plus => r#"<path d="M5.5 12h13M12 5.5v13"/>"#,
            Self::ArrowRight => r#"<path d="M4.5 12h15M14 6.5l5.5 5.5-5.5 5.5"/>"#,
            Self::ChevronLeft => r#"<path d="M14.5 6.5 9 12l5.5 5.5"/>"#,
            Self::Workload => r#"<circle cx="12" cy="12" r="8"/>"#,
            Self::App => r#"<rect x="4.5" y="4.5" width="15" height="15" rx="2.5"/>"#,
            Self::Service => r#"<path d="M12 4.5 20.5 19h-17z"/>"#,
            Self::Gateway => {
                r#"<path d="M11 4.5h7A1.5 1.5 0 0 1 19.5 6v12a1.5 1.5 0 0 1-1.5 1.5h-7M3.5 12h10M9.5 7.5 14 12l-4.5 4.5"/>"#
            }
            Self::External => {
                r#"<circle cx="12" cy="12" r="8.2"/><path d="M3.8 12h16.4M12 3.8c2.6 2.3 3.7 5 3.7 8.2s-1.1 5.9-3.7 8.2c-2.6-2.3-3.7-5-3.7-8.2S9.4 6.1 12 3.8z"/>"#
            }
            Self::Operation => r#"<path d="M8 4.8h8l4.2 7.2-4.2 7.2H8L3.8 12z"/>"#,
            Self::Unknown => r#"<circle cx="12" cy="12" r="8" stroke-dasharray="3 3"/>"#,
            Self::Undo => r#"<path d="M9 6 4.5 10.5 9 15M4.5 10.5H15a4.5 4.5 0 0 1 0 9h-2.5"/>"#,
            Self::Trash => r#"<path d="M4.5 7h15M9.5 7V4.8h5V7M6.5 7l.9 12.2h9.2L17.5 7M10.3 10.5v5.5M13.7 10.5v5.5"/>"#,
        }
    }
}

/// An icon beside a word, or inside a button that has an accessible name of its own.
#[component]
pub fn Glyph(icon: Icon, #[prop(default = 16)] size: u32) -> impl IntoView {
    view! { <svg class="glyph" width=size height=size viewBox="0 0 24 24" aria-hidden="true" inner_html=icon.body()></svg> }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Failing,
    Degraded,
    Fine,
}

impl Mark {
    /// Filled signs whose shape alone tells them apart: octagon, triangle, tick in a circle.
    pub fn body(self) -> &'static str {
        match self {
            Self::Failing => {
                r#"<path class="fill" d="M7.9 2.5h8.2l5.4 5.4v8.2l-5.4 5.4H7.9L2.5 16.1V7.9z"/><path class="cut" d="M12 7v6.2M12 16.6v.3"/>"#
            }
            Self::Degraded => {
                r#"<path class="fill" d="M12 2.8c.7 0 1.2.4 1.6 1l8 14.3c.7 1.3-.1 2.9-1.6 2.9H4c-1.5 0-2.3-1.6-1.6-2.9l8-14.3c.4-.6.9-1 1.6-1z"/><path class="cut" d="M12 9v4.8M12 17.2v.3"/>"#
            }
            Self::Fine => r#"<circle cx="12" cy="12" r="8.6" class="line"/><path class="line" d="m8.2 12.4 2.6 2.6 5-5.4"/>"#,
        }
    }

    pub fn class(self) -> &'static str {
        match self {
            Self::Failing => "mark bad",
            Self::Degraded => "mark warn",
            Self::Fine => "mark ok",
        }
    }
}

#[component]
pub fn Sign(mark: Mark, #[prop(default = 16)] size: u32) -> impl IntoView {
    view! { <svg class=mark.class() width=size height=size viewBox="0 0 24 24" aria-hidden="true" inner_html=mark.body()></svg> }
}

/// A ship's sidelight: port red, starboard green, as a lantern seen from ahead.
#[component]
pub fn Lantern(#[prop(default = 30)] size: u32) -> impl IntoView {
    const BODY: &str = r#"<path class="iron-line" d="M12 6.2V5a4 4 0 0 1 8 0v1.2"/><path class="iron" d="M10.4 5.6h11.2l1.6 3.6H8.8z"/><path class="green" d="M9.6 9.8H16v13.4H9.6c-1.2-2-1.8-4.2-1.8-6.7s.6-4.7 1.8-6.7z"/><path class="red" d="M16 9.8h6.4c1.2 2 1.8 4.2 1.8 6.7s-.6 4.7-1.8 6.7H16z"/><path class="shine" d="M11.4 12.2c-.7 2.8-.7 5.8 0 8.6M20.6 12.2c.7 2.8.7 5.8 0 8.6"/><path class="iron" d="M8.4 23.2h15.2l1 2.4H7.4zM9.6 26.4h12.8V28H9.6z"/>"#;
    view! { <svg class="lantern" width=size height=size viewBox="0 0 32 32" aria-hidden="true" inner_html=BODY></svg> }
}
