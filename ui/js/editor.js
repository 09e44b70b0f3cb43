// The YAML editor: CodeMirror behind the few calls that the dashboard makes.
import { autocompletion, closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, RangeSet, StateEffect, StateField } from "@codemirror/state";
import {
  EditorView, GutterMarker, drawSelection, gutter, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--text)" },
  { tag: [tags.string, tags.content], color: "var(--tcp)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--grpc)" },
  { tag: tags.comment, color: "var(--text-3)", fontStyle: "italic" },
  { tag: [tags.separator, tags.punctuation, tags.meta], color: "var(--text-3)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "12px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", fontVariantLigatures: "none", fontFeatureSettings: '"calt" 0' },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--text-3)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "40px", padding: "0 8px 0 0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--accent-soft)" },
  ".cm-content": { caretColor: "var(--text)", paddingBottom: "40px" },
  "&.cm-focused .cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent) !important" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", borderRadius: "var(--r-2)", boxShadow: "var(--shadow)", color: "var(--text)" },
  ".cm-diagnostic": { fontFamily: "var(--font)", fontSize: "12px", padding: "8px 12px", maxWidth: "420px" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-diagnostic-warning": { borderLeft: "3px solid var(--warn)" },
  ".cm-diagnostic-info": { borderLeft: "3px solid var(--accent)" },
  ".cm-diagnosticAction": { backgroundColor: "var(--accent)", color: "var(--surface)", borderRadius: "var(--r-1)", padding: "3px 8px", marginLeft: "8px" },
  // Our own signs in the gutter: the shape tells them apart, not only the colour.
  ".cm-gutter-lint": { width: "22px" },
  ".cm-lint-marker": { width: "13px", height: "13px", margin: "3px 2px" },
  ".cm-lint-marker-error": { content: "normal", backgroundColor: "var(--bad)", clipPath: "polygon(30% 0, 70% 0, 100% 30%, 100% 70%, 70% 100%, 30% 100%, 0 70%, 0 30%)" },
  ".cm-lint-marker-warning": { content: "normal", backgroundColor: "var(--warn)", clipPath: "polygon(50% 4%, 100% 94%, 0 94%)" },
  ".cm-lint-marker-info": { content: "normal", backgroundColor: "var(--accent)", borderRadius: "50%" },
  ".cm-changes": { width: "4px", marginRight: "6px" },
  ".cm-changed": { backgroundColor: "var(--tcp)", width: "4px", height: "100%" },
});

const setChanged = StateEffect.define();

const changedMark = new (class extends GutterMarker {
  toDOM() {
    const bar = document.createElement("div");
    bar.className = "cm-changed";
    return bar;
  }
})();

/** Lines that differ from the saved text; they move with the text until they are told anew. */
const changedLines = StateField.define({
  create: () => RangeSet.empty,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setChanged)) {
        const doc = transaction.state.doc;
        const lines = effect.value.filter((line) => line >= 1 && line <= doc.lines);
        next = RangeSet.of(lines.map((line) => changedMark.range(doc.line(line).from)), true);
      }
    }
    return next;
  },
});

const changeGutter = gutter({ class: "cm-changes", markers: (view) => view.state.field(changedLines) });

/**
 * Puts an editor into `parent`. `onChange` gets the whole text after each change by the user.
 * Returns the handle that the dashboard keeps.
 */
export function createEditor(parent, text, label, onChange) {
  let silent = false;
  const editable = new Compartment();
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lintGutter(), lineNumbers(), changedLines, changeGutter, highlightActiveLine(), highlightActiveLineGutter(),
        history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
        yaml(), syntaxHighlighting(colours), theme, editable.of([]),
        EditorState.tabSize.of(2),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", "data-test": "editor" }),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap, indentWithTab]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !silent) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText(next) {
      if (next === view.state.doc.toString()) return;
      silent = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      silent = false;
    },
    /** `findings`: JSON array of {line, column, length, severity, message, code, suggestions}. */
    setFindings(findings) {
      const diagnostics = JSON.parse(findings).map((finding) => diagnostic(view.state.doc, finding));
      view.dispatch(setDiagnostics(view.state, diagnostics));
    },
    setChangedLines(lines) {
      view.dispatch({ effects: setChanged.of(Array.from(lines)) });
    },
    setReadOnly(readOnly) {
      view.dispatch({ effects: editable.reconfigure(readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : []) });
    },
    reveal(line, column) {
      const doc = view.state.doc;
      const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
      const position = Math.min(at.from + Math.max(column - 1, 0), at.to);
      view.dispatch({ selection: { anchor: position }, effects: EditorView.scrollIntoView(position, { y: "center" }) });
      view.focus();
    },
    destroy() {
      view.destroy();
    },
  };
}

function diagnostic(doc, finding) {
  const line = doc.line(Math.min(Math.max(finding.line, 1), doc.lines));
  const from = Math.min(line.from + Math.max(finding.column - 1, 0), line.to);
  const to = finding.length > 0 ? Math.min(from + finding.length, line.to) : line.to;
  return {
    from, to,
    severity: finding.severity,
    message: `${finding.message}  ${finding.code}`,
    actions: (finding.suggestions ?? []).map((text) => ({
      name: text,
      apply: (view, start, end) => view.dispatch({ changes: { from: start, to: end, insert: text } }),
    })),
  };
}
