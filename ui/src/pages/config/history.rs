//! The revisions of an object, the difference of any two, and the way back.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::query_signal;
use sidelight_api::config::{Action, History, Revision};

use crate::client::{Failure, Feed};
use crate::components::icons::{Glyph, Icon};
use crate::components::states::Failed;
use crate::i18n::config::ConfigText;
use crate::i18n::{count, fill, t};
use crate::model::diff::{Diff, Row, diff};
use crate::model::format;
use crate::platform;
use crate::state::Ui;

/// The newer and the older of the two that are compared, by revision number.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    new: Revision,
    old: Option<Revision>,
}

#[component]
pub fn HistoryTab(
    feed: Feed<History>,
    roll_back: Callback<u64>,
    busy: RwSignal<bool>,
    refusal: RwSignal<Option<Failure>>,
) -> impl IntoView {
    let ui = Ui::get();
    let (chosen, set_chosen) = query_signal::<u64>("a");
    let (against, set_against) = query_signal::<u64>("b");
    let revisions =
        Memo::new(move |_| feed.value.with(|history| history.as_ref().map(|h| h.revisions.clone()).unwrap_or_default()));
    let pair = Memo::new(move |_| revisions.with(|list| choose(list, chosen.get(), against.get())));
    // The first click chooses what is shown, the second what it is compared with.
    let pick = Callback::new(move |revision: u64| match chosen.get_untracked() {
        Some(first) if first != revision && against.get_untracked().is_none() => set_against.set(Some(revision)),
        _ => {
            set_chosen.set(Some(revision));
            set_against.set(None);
        }
    });
    let failed = move || {
        let failure = feed.failure.get().filter(|_| feed.value.with(Option::is_none))?;
        Some(view! { <Failed title=t(ConfigText::HistoryFailed) failure retry=Callback::new(move |()| ui.refresh_now())/> })
    };
    view! {
        <div class="history" data-test="history">
            <section class="revisions">
                <header><h2>{t(ConfigText::Revisions)}</h2><span class="aside">{t(ConfigText::ChooseTwo)}</span></header>
                {failed}
                <ol><For each=move || revisions.get() key=|r| r.revision let:revision><Entry revision pair pick/></For></ol>
            </section>
            <section class="comparison">
                {move || pair.get().map(|pair| view! { <Comparison pair newest=revisions.with(|r| r.first().map(|r| r.revision)) roll_back busy/> })}
                {move || refusal.get().map(|failure| view! { <p class="refusal-line" role="alert"><b>{t(ConfigText::SaveRefused)}</b>" "{failure.message}</p> })}
                <p class="foot"><Glyph icon=Icon::Undo/>{t(ConfigText::RollBackIsNew)}</p>
            </section>
        </div>
    }
}

#[component]
fn Entry(revision: Revision, pair: Memo<Option<Pair>>, pick: Callback<u64>) -> impl IntoView {
    let ui = Ui::get();
    let number = revision.revision;
    let letter = move || pair.with(|pair| letter(pair.as_ref(), number));
    let title = match (&revision.action, revision.rolled_back_to) {
        (Action::Deleted, _) => t(ConfigText::Deleted).to_owned(),
        (Action::RolledBack, Some(to)) if revision.message.is_empty() => fill(ConfigText::RolledBack, &[&to]),
        _ if revision.message.is_empty() => t(ConfigText::NoMessage).to_owned(),
        _ => revision.message.clone(),
    };
    let at_ms = revision.created_at_ms;
    view! {
        <li>
            <button type="button" class="revision" class:here=move || letter().is_some() on:click=move |_| pick.run(number) data-test="revision" data-revision=number>
                <span class="pick">{move || letter().unwrap_or_default()}</span>
                <b class="mono">"r"{number}</b>
                <span class="what"><span class="cut">{title}</span><small>{revision.author.clone()}</small></span>
                <span class="when">{format::time_of_day(at_ms, platform::offset_minutes(at_ms))}<small>{move || format::age(ui.now_ms.get() - at_ms)}</small></span>
            </button>
        </li>
    }
}

#[component]
fn Comparison(pair: Pair, newest: Option<u64>, roll_back: Callback<u64>, busy: RwSignal<bool>) -> impl IntoView {
    let old_text = pair.old.as_ref().map(|r| r.yaml.clone()).unwrap_or_default();
    let found = diff(&old_text, &pair.new.yaml);
    let heading = match &pair.old {
        Some(old) => format!("r{} → r{}", old.revision, pair.new.revision),
        None => format!("r{}", pair.new.revision),
    };
    // Offered: whichever of the two is not what runs now, and has a text.
    let target =
        pair.old.iter().chain([&pair.new]).rev().find(|r| Some(r.revision) != newest && !r.yaml.is_empty()).map(|r| r.revision);
    let button = target.map(|revision| view! {
        <button type="button" class="button primary" disabled=move || busy.get() on:click=move |_| roll_back.run(revision) data-test="rollback" data-revision=revision>
            <Glyph icon=Icon::Undo/>{fill(ConfigText::RollBackTo, &[&revision])}
        </button>
    });
    view! {
        <header>
            <b>{heading}</b><span class="plus">"+ "{found.added}</span><span class="minus">"− "{found.removed}</span>
            <span class="grow"></span>{button}
        </header>
        <SideBySide old=Arc::from(old_text) new=Arc::from(pair.new.yaml.clone()) found/>
    }
}

/// Line number, sign and text of the old side, then of the new one.
const COLUMNS: [&str; 6] = ["no", "sign", "code", "no", "sign", "code"];

/// Two columns of lines; a line that the other side lacks faces a hatched gap.
#[component]
pub fn SideBySide(old: Arc<str>, new: Arc<str>, found: Diff) -> impl IntoView {
    let old_lines: Vec<String> = old.lines().map(str::to_owned).collect();
    let new_lines: Vec<String> = new.lines().map(str::to_owned).collect();
    let cell = |lines: &[String], line: Option<usize>, class: &'static str, sign: &'static str| match line {
        Some(line) => view! {
            <td class=format!("no {class}")>{line + 1}</td><td class=format!("sign {class}")>{sign}</td>
            <td class=format!("code {class}")>{lines.get(line).cloned().unwrap_or_default()}</td>
        }
        .into_any(),
        None => view! { <td class="no gap"></td><td class="sign gap"></td><td class="code gap"></td> }.into_any(),
    };
    let rows = found.rows.into_iter().map(|row| match row {
        Row::Folded { lines } => {
            view! { <tr class="folded"><td colspan="6">{count(lines, ConfigText::OneEqualLine, ConfigText::EqualLines)}</td></tr> }.into_any()
        }
        Row::Equal { old, new } => {
            view! { <tr>{cell(&old_lines, Some(old), "", "")}{cell(&new_lines, Some(new), "", "")}</tr> }.into_any()
        }
        Row::Changed { old, new } => {
            view! { <tr>{cell(&old_lines, old, "removed", "−")}{cell(&new_lines, new, "added", "+")}</tr> }.into_any()
        }
    });
    let rows = rows.collect_view();
    view! { <div class="diff-wrap"><table class="diff" data-test="diff"><colgroup>{COLUMNS.map(|class| view! { <col class=class/> }).collect_view()}</colgroup><tbody>{rows}</tbody></table></div> }
}

/// What is compared: the chosen one with the other chosen one, else with the one before it; at first the newest.
fn choose(revisions: &[Revision], chosen: Option<u64>, against: Option<u64>) -> Option<Pair> {
    let find = |number: u64| revisions.iter().find(|r| r.revision == number).cloned();
    let first = chosen.and_then(find).or_else(|| revisions.first().cloned())?;
    let second = against.and_then(find).or_else(|| revisions.iter().find(|r| r.revision < first.revision).cloned());
    match second {
        Some(second) if second.revision > first.revision => Some(Pair { new: second, old: Some(first) }),
        second => Some(Pair { new: first, old: second }),
    }
}

fn letter(pair: Option<&Pair>, revision: u64) -> Option<&'static str> {
    let pair = pair?;
    if pair.new.revision == revision {
        return Some("A");
    }
    pair.old.as_ref().filter(|old| old.revision == revision).map(|_| "B")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions() -> Vec<Revision> {
        let one = |revision| Revision {
            revision,
            action: Action::Configured,
            created_at_ms: 0,
            author: String::new(),
            message: String::new(),
            rolled_back_to: None,
            yaml: format!("r{revision}"),
        };
        vec![one(3), one(2), one(1)]
    }

    fn chosen(a: Option<u64>, b: Option<u64>) -> (u64, Option<u64>) {
        let pair = choose(&revisions(), a, b).expect("there are revisions");
        (pair.new.revision, pair.old.map(|r| r.revision))
    }

    #[test]
    fn compares_the_newest_with_the_one_before_at_first() {
        assert_eq!(chosen(None, None), (3, Some(2)));
    }

    #[test]
    fn the_newer_of_two_is_always_the_result() {
        assert_eq!(chosen(Some(1), Some(3)), (3, Some(1)));
        assert_eq!(chosen(Some(3), Some(1)), (3, Some(1)));
    }

    #[test]
    fn the_first_revision_has_nothing_before_it() {
        assert_eq!(chosen(Some(1), None), (1, None));
        assert_eq!(choose(&[], None, None), None);
    }
}
