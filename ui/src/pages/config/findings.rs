//! The findings as a table: click goes to the line, a fix changes the text.

use leptos::prelude::*;
use sidelight_mesh::finding::{Finding, Severity};

use crate::components::editor::Place;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::{fill, t};

/// Fixes offered per finding.
const FIXES_MAX: usize = 3;

#[component]
pub fn Findings(#[prop(into)] findings: Signal<Vec<Finding>>, text: RwSignal<String>, place: RwSignal<Place>) -> impl IntoView {
    let body = move || {
        let list = findings.get();
        if list.is_empty() {
            return view! { <p class="drawer-note"><Sign mark=Mark::Fine size=18/>{t(ConfigText::NoFindings)}</p> }.into_any();
        }
        view! {
            <table class="table">
                <thead><tr><th></th><th class="num">{t(ConfigText::Line)}</th><th>{t(ConfigText::Finding)}</th><th>{t(ConfigText::Place)}</th><th>{t(ConfigText::Code)}</th><th>{t(ConfigText::Fix)}</th></tr></thead>
                <tbody>{list.into_iter().map(|finding| view! { <Row finding text place/> }).collect_view()}</tbody>
            </table>
        }
        .into_any()
    };
    view! { {body} }
}

#[component]
fn Row(finding: Finding, text: RwSignal<String>, place: RwSignal<Place>) -> impl IntoView {
    let (line, column) = (finding.line, finding.column);
    let go = move |_| place.update(|place| *place = Place { line, column, wish: place.wish + 1 });
    let fixes = finding.suggestions.iter().take(FIXES_MAX).cloned().map(|fix| {
        let (finding, name) = (finding.clone(), fill(ConfigText::UseFix, &[&fix]));
        let mend = move |event: web_sys::MouseEvent| {
            event.stop_propagation();
            text.update(|text| replace(text, &finding, &fix));
        };
        view! { <button type="button" class="button small" on:click=mend data-test="fix"><Glyph icon=Icon::Check size=14/>{name}</button> }
    });
    let fixes = fixes.collect_view();
    view! {
        <tr class="row" on:click=go data-test="finding" data-line=line data-code=finding.code.clone()>
            <td class="mark-cell"><SeveritySign severity=finding.severity/></td>
            <td class="num link">{(line > 0).then_some(line)}</td>
            <td>{finding.message.clone()}</td>
            <td class="mono cut">{finding.path.clone()}</td>
            <td class="mono">{finding.code.clone()}</td>
            <td class="fixes">{fixes}</td>
        </tr>
    }
}

#[component]
pub fn SeveritySign(severity: Severity) -> impl IntoView {
    match severity {
        Severity::Error => view! { <Sign mark=Mark::Failing/> }.into_any(),
        Severity::Warning => view! { <Sign mark=Mark::Degraded/> }.into_any(),
        Severity::Info => view! { <Glyph icon=Icon::Help/> }.into_any(),
    }
}

/// Puts `fix` where the finding points; does nothing when the text has moved on.
fn replace(text: &mut String, finding: &Finding, fix: &str) {
    let Some((start, end)) = span(text, finding) else { return };
    text.replace_range(start..end, fix);
}

fn span(text: &str, finding: &Finding) -> Option<(usize, usize)> {
    let line_index = usize::try_from(finding.line).ok()?.checked_sub(1)?;
    let start_of_line: usize = text.split_inclusive('\n').take(line_index).map(str::len).sum();
    let line = text.get(start_of_line..)?.lines().next()?;
    let byte_of = |characters: usize| line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(characters);
    let first = usize::try_from(finding.column).ok()?.checked_sub(1)?;
    let length = usize::try_from(finding.length).ok().filter(|length| *length > 0)?;
    Some((start_of_line + byte_of(first)?, start_of_line + byte_of(first + length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u32, column: u32, length: u32) -> Finding {
        Finding {
            code: "KIA1107".into(),
            severity: Severity::Error,
            message: String::new(),
            path: String::new(),
            line,
            column,
            length,
            suggestions: vec![],
        }
    }

    #[test]
    fn a_fix_replaces_exactly_what_is_underlined() {
        let mut text = "a: 1\nsubset: v4 # new\n".to_owned();
        replace(&mut text, &finding(2, 9, 2), "v2");
        assert_eq!(text, "a: 1\nsubset: v2 # new\n");
    }

    #[test]
    fn columns_count_characters() {
        let mut text = "名: v4\n".to_owned();
        replace(&mut text, &finding(1, 4, 2), "v2");
        assert_eq!(text, "名: v2\n");
    }

    #[test]
    fn a_place_outside_the_text_changes_nothing() {
        for place in [finding(9, 1, 1), finding(1, 50, 1), finding(0, 0, 0), finding(1, 1, 99)] {
            let mut text = "a: 1\n".to_owned();
            replace(&mut text, &place, "x");
            assert_eq!(text, "a: 1\n");
        }
    }
}
