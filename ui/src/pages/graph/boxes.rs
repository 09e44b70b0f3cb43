//! Boxes around namespaces and apps.

use leptos::prelude::*;
use sidelight_api::graph::BoxBy;

use super::board::Board;
use crate::components::icons::{Icon, Mark};
use crate::i18n::fill;
use crate::i18n::graph::GraphText;
use crate::model::geometry::Rect;
use crate::model::measure;
use crate::model::scene::{Group, Tone};

#[component]
pub fn Boxes(board: Board) -> impl IntoView {
    let ids = move || box_ids(board);
    view! { <For each=ids key=Clone::clone let:id><BoxView board id/></For> }
}

/// Labels stand over the lines: an edge that passes must not strike a name out.
#[component]
pub fn BoxLabels(board: Board) -> impl IntoView {
    let ids = move || box_ids(board);
    view! { <For each=ids key=Clone::clone let:id><LabelView board id/></For> }
}

fn box_ids(board: Board) -> Vec<String> {
    board.picture.with(|p| p.as_ref().map(|p| p.scene.groups.iter().map(|g| g.id.clone()).collect()).unwrap_or_default())
}

#[derive(Clone, PartialEq)]
struct Look {
    group: Group,
    rect: Rect,
    faded: bool,
}

#[component]
fn BoxView(board: Board, id: String) -> impl IntoView {
    let look = Memo::new(move |_| look(board, &id));
    move || {
        look.get().filter(|look| look.rect.w > 0.0).map(|look| {
            let own = look.group.by == BoxBy::App;
            let class = format!(
                "box {} {}{}",
                if own { "app" } else { "namespace" },
                look.group.tone.class(),
                if look.faded { " fade" } else { "" }
            );
            let Rect { x, y, w, h } = look.rect;
            view! {
                <g class=class data-test="box" data-name=look.group.label.clone()>
                    <rect x=x y=y width=w height=h rx=if own { 10 } else { 12 }/>
                </g>
            }
        })
    }
}

#[component]
fn LabelView(board: Board, id: String) -> impl IntoView {
    let look = Memo::new(move |_| look(board, &id));
    move || {
        look.get().filter(|look| look.rect.w > 0.0).map(|look| {
            let class = format!("box-label {}{}", look.group.tone.class(), if look.faded { " fade" } else { "" });
            view! { <g class=class>{label(&look.group, look.rect)}</g> }
        })
    }
}

fn look(board: Board, id: &str) -> Option<Look> {
    board.picture.with(|picture| {
        let picture = picture.as_ref()?;
        let index = picture.scene.groups.iter().position(|group| group.id == *id)?;
        let focus = board.focus.get();
        let inside = |focus: &crate::model::focus::Focus| {
            focus.cards.iter().any(|card| {
                let mut above = picture.scene.cards.get(*card).and_then(|card| card.parent);
                while let Some(own) = above {
                    if own == index {
                        return true;
                    }
                    above = picture.scene.groups[own].parent;
                }
                false
            })
        };
        Some(Look {
            group: picture.scene.groups[index].clone(),
            rect: picture.placement.boxes.get(index).copied()?,
            faded: focus.is_some_and(|focus| !inside(&focus)),
        })
    })
}

fn label(group: &Group, rect: Rect) -> impl IntoView + use<> {
    let own = group.by == BoxBy::App;
    let (x, y) = if own { (rect.x + 14.0, rect.bottom() - 12.0) } else { (rect.x + 14.0, rect.y + 21.0) };
    let icon = if own { Icon::App } else { Icon::Box };
    let members = fill(if own { GraphText::BoxVersions } else { GraphText::BoxWorkloads }, &[&group.members]);
    let name = measure::cut(&group.label, 12.0, (rect.w - 120.0).max(60.0));
    let after = x + 20.0 + measure::width(&name, 12.0) + 8.0;
    let sign = match group.tone {
        Tone::Failing => Some(Mark::Failing),
        Tone::Degraded => Some(Mark::Degraded),
        Tone::Healthy | Tone::Idle => None,
    };
    let count = if group.failing > 0 { group.failing } else { group.degraded };
    view! {
        <g class="glyph" transform=format!("translate({x:.1},{:.1}) scale(.583)", y - 11.0) inner_html=icon.body()></g>
        {(!own).then(|| view! { <text class="box-far" x=rect.x + 14.0 y=rect.y>{group.label.clone()}</text> })}
        <text class="box-name" x=x + 20.0 y=y>{name}</text>
        {(group.members > 1).then(|| view! { <text class="box-count" x=after y=y>{members}</text> })}
        {sign.filter(|_| !own).map(|sign| view! {
            <g class=sign.class() transform=format!("translate({:.1},{:.1}) scale(.6)", rect.right() - 42.0, y - 11.5) inner_html=sign.body()></g>
            <text class=format!("box-sign {}", sign.class()) x=rect.right() - 22.0 y=y>{count}</text>
        })}
    }
}
