//! What the pieces of the graph page share: the graph, its picture, the camera, what is selected and found.

use std::collections::HashSet;
use std::sync::Arc;

use leptos::prelude::*;
use sidelight_api::config::ObjectList;
use sidelight_api::graph::Graph;

use crate::client::Feed;
use crate::model::camera::Camera;
use crate::model::find;
use crate::model::focus::Focus;
use crate::model::geometry::{Point, Rect};
use crate::model::layout::Keeper;
use crate::model::picture::{Picture, better_direction};
use crate::model::scene::Scene;
use crate::model::view::{Direction, Query, Selection, View};
use crate::state::{Namespaces, SLOW_EVERY, Step, Ui};

/// Space that the panel takes from the canvas, margins included.
const PANEL_SPACE: f64 = 384.0;
/// Windows narrower than this begin without the panel.
const PANEL_WINDOW_MIN: f64 = 1180.0;
/// The toolbar lies over the foot of the canvas.
const TOOLBAR_SPACE: f64 = 56.0;
const MARGIN: f64 = 16.0;

/// Indexes of cards and links that the find text hits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    pub cards: HashSet<usize>,
    pub links: HashSet<usize>,
}

#[derive(Clone, Copy)]
pub struct Board {
    pub ui: Ui,
    pub namespaces: Namespaces,
    pub graph: Feed<Graph>,
    pub objects: Feed<ObjectList>,
    pub picture: RwSignal<Option<Arc<Picture>>>,
    pub focus: Memo<Option<Focus>>,
    pub hits: Memo<Hits>,
    pub hover: RwSignal<Option<Selection>>,
    pub camera: RwSignal<Camera>,
    /// Size of the canvas on the screen.
    pub window: RwSignal<(f64, f64)>,
    pub panel_open: RwSignal<bool>,
    pub legend_open: RwSignal<bool>,
    /// While the canvas is dragged or wheeled.
    pub moving: RwSignal<bool>,
    keeper: StoredValue<Keeper, LocalStorage>,
    automatic: StoredValue<Option<Direction>>,
}

impl Board {
    pub fn provide() -> Self {
        let ui = Ui::get();
        let namespaces = Namespaces::get();
        let slow = Memo::new(move |_| ui.tick.get() / SLOW_EVERY);
        let picture = RwSignal::new(None::<Arc<Picture>>);
        let selection = Memo::new(move |_| ui.view.with(|view| view.selection.clone()));
        let find = Memo::new(move |_| ui.view.with(|view| view.find.clone()));
        let board = Self {
            ui,
            namespaces,
            graph: Feed::new(move || graph_path(&ui.view.get(), namespaces), move || ui.tick.get()),
            objects: Feed::new(move || objects_path(&ui.view.get(), namespaces), move || slow.get()),
            picture,
            focus: Memo::new(move |_| picture.with(|p| p.as_ref().and_then(|p| Focus::of(&p.scene, selection.get().as_ref())))),
            hits: Memo::new(move |_| picture.with(|p| p.as_ref().map(|p| hits(&p.scene, &find.get())).unwrap_or_default())),
            hover: RwSignal::new(None),
            camera: RwSignal::new(Camera::default()),
            window: RwSignal::new((0.0, 0.0)),
            panel_open: RwSignal::new(window_width() >= PANEL_WINDOW_MIN),
            legend_open: RwSignal::new(false),
            moving: RwSignal::new(false),
            keeper: StoredValue::new_local(Keeper::default()),
            automatic: StoredValue::new(None),
        };
        board.keep_picture();
        board.tell_header();
        board
    }

    /// Draws the newest answer as the view wants it.
    fn keep_picture(self) {
        // Selecting and searching must not place anything again.
        let drawn = Memo::new(move |_| {
            let view = self.ui.view.get();
            View { find: String::new(), selection: None, query_time: None, paused: false, ..view }
        });
        Effect::new(move |_| {
            let view = drawn.get();
            let ready = self.window.with(|(w, h)| *w > 0.0 && *h > 0.0);
            if let Some(graph) = self.graph.value.get().filter(|_| ready) {
                self.draw(&graph, &view);
            }
        });
    }

    fn draw(self, graph: &Graph, view: &View) {
        let scene = Scene::of(graph, view);
        let direction = view.direction.unwrap_or_else(|| self.automatic_direction(&scene));
        let mut drawn = None;
        self.keeper.update_value(|keeper| drawn = Some(Picture::of(scene, view, direction, keeper)));
        let Some((picture, kept)) = drawn else { return };
        let changed = self.picture.with_untracked(|old| old.as_deref() != Some(&picture));
        if changed {
            self.picture.set(Some(Arc::new(picture)));
        }
        if !kept {
            self.fit();
        }
    }

    /// Chosen once: neither a refresh nor a panel turns the graph round.
    fn automatic_direction(self, scene: &Scene) -> Direction {
        if let Some(direction) = self.automatic.get_value() {
            return direction;
        }
        let direction = better_direction(scene, self.free_window());
        if !scene.cards.is_empty() {
            self.automatic.set_value(Some(direction));
        }
        direction
    }

    /// The part of the canvas that nothing lies over.
    fn free_window(self) -> Rect {
        let (w, h) = self.window.get_untracked();
        let panel = if self.panel_open.get_untracked() && w > PANEL_SPACE * 2.0 { PANEL_SPACE } else { 0.0 };
        Rect::new(MARGIN, MARGIN, (w - panel - 2.0 * MARGIN).max(1.0), (h - TOOLBAR_SPACE - 2.0 * MARGIN).max(1.0))
    }

    pub fn fit(self) {
        let bounds = self.picture.with_untracked(|picture| picture.as_ref().map(|p| p.placement.bounds().grown(6.0)));
        if let Some(bounds) = bounds {
            self.camera.set(Camera::fit(bounds, self.free_window()));
        }
    }

    /// Forgets all places and lays out afresh.
    pub fn arrange_again(self) {
        self.keeper.update_value(Keeper::forget);
        self.automatic.set_value(None);
        self.graph.value.notify();
    }

    pub fn zoom(self, factor: f64, at: Option<Point>) {
        let (w, h) = self.window.get_untracked();
        let at = at.unwrap_or_else(|| Point::new(w / 2.0, h / 2.0));
        self.camera.update(|camera| *camera = camera.zoomed(factor, at));
    }

    pub fn pan(self, dx: f64, dy: f64) {
        self.camera.update(|camera| *camera = camera.moved(dx, dy));
    }

    pub fn select(self, selection: Option<Selection>) {
        if selection.is_some() {
            self.panel_open.set(true);
        }
        self.ui.update(Step::Push, |view| view.selection = selection);
    }

    /// The header shows the age of the numbers and how much was found.
    fn tell_header(self) {
        Effect::new(move |_| {
            self.ui.last_sample_ms.set(self.graph.value.with(|graph| graph.as_ref().and_then(|g| g.last_sample_ms)))
        });
        Effect::new(move |_| self.ui.found.set(Some(self.hits.with(|hits| hits.cards.len() + hits.links.len()))));
        on_cleanup(move || {
            self.ui.last_sample_ms.try_set(None);
            self.ui.found.try_set(None);
        });
    }
}

fn window_width() -> f64 {
    crate::platform::window().inner_width().ok().and_then(|width| width.as_f64()).unwrap_or_default()
}

fn hits(scene: &Scene, text: &str) -> Hits {
    let Ok(query) = find::Query::parse(text) else { return Hits::default() };
    let cards = scene.cards.iter().enumerate().filter(|(_, card)| query.finds(&card.subject())).map(|(i, _)| i);
    let links = scene.links.iter().enumerate().filter(|(_, link)| query.finds(&link.subject(&scene.cards))).map(|(i, _)| i);
    Hits { cards: cards.collect(), links: links.collect() }
}

fn graph_path(view: &View, namespaces: Namespaces) -> Option<String> {
    let mut query = Query::default();
    query.put("namespaces", &namespaces.wanted(view)?.join(","));
    query.put("graphType", view.graph_type.as_str());
    query.put("duration", &format!("{}s", view.window_s));
    if let Some(time) = view.query_time {
        query.put("queryTime", &time.to_string());
    }
    if view.services {
        query.put("injectServiceNodes", "true");
    }
    query.put("boxBy", "app,namespace");
    Some(format!("/api/namespaces/graph{}", query.finish()))
}

fn objects_path(view: &View, namespaces: Namespaces) -> Option<String> {
    let mut query = Query::default();
    query.put("namespaces", &namespaces.wanted(view)?.join(","));
    Some(format!("/api/config{}", query.finish()))
}
