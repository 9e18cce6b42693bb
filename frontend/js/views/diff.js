// Changes between two texts, line by line: numbers, a sign and the words. The sign says what became of a
// line, so that no colour has to.

import { h } from '../dom.js';

const ROWS_AT_ONCE = 1_500;
const SIGNS = { added: '+', removed: '−', context: ' ' };
const NAMES = { '+': 'add', '−': 'del', ' ': 'same' };

function row(line, numbers) {
  const sign = SIGNS[line.kind] || ' ';
  return h('tr', { class: `diff-${NAMES[sign]}` },
    numbers ? h('td', { class: 'diff-number' }, line.old_number ?? '') : null,
    numbers ? h('td', { class: 'diff-number' }, line.new_number ?? '') : null,
    h('td', { class: 'diff-sign' }, sign),
    h('td', { class: 'diff-text' }, line.text ?? '', line.no_newline ? h('span', { class: 'diff-mark' }, ' (no line end)') : null));
}

function rowsOf(hunks) {
  return hunks.flatMap((hunk, at) => [
    ...(at > 0 || hunk.old_start > 1 || hunk.new_start > 1 ? [{ gap: `line ${hunk.new_start || hunk.old_start}` }] : []),
    ...hunk.lines,
  ]);
}

// hunks: [{ old_start, new_start, lines: [{ kind, old_number, new_number, text, no_newline }] }]
export function diffView(hunks, { label = 'Changes', truncated = false, numbers = true } = {}) {
  const all = rowsOf(hunks || []);
  if (all.length === 0) return h('p', { class: 'work-empty' }, 'No line differs.');
  const body = h('tbody', {});
  let shown = 0;
  const more = h('button', { type: 'button', class: 'quiet small', onclick: extend }, 'Show more lines');

  function extend() {
    const next = all.slice(shown, shown + ROWS_AT_ONCE);
    shown += next.length;
    body.append(...next.map((line) => (line.gap ? h('tr', { class: 'diff-gap' }, h('td', { colspan: '4' }, line.gap)) : row(line, numbers))));
    more.hidden = shown >= all.length;
  }

  extend();
  return h('div', { class: 'diff-box', testid: 'diff' },
    h('div', { class: 'diff-scroll', tabindex: '0', role: 'region', 'aria-label': label }, h('table', { class: 'diff' }, body)),
    more, truncated ? h('p', { class: 'work-hint' }, 'This is only the beginning: the change is too large to be shown whole.') : null);
}

// Edits by exact words, as she writes them: what was, what is.
export function editsView(edits) {
  const linesOf = (text, kind) => String(text ?? '').replace(/\n$/, '').split('\n').map((line) => ({ kind, text: line }));
  return h('div', { class: 'edits' }, edits.map((edit, at) => diffView(
    [{ lines: [...linesOf(edit.old, 'removed'), ...linesOf(edit.new, 'added')] }], { label: `Edit ${at + 1}`, numbers: false })));
}

const FILE_STATES = { added: 'new', deleted: 'deleted', renamed: 'renamed', modified: 'changed', type_changed: 'another type' };

// One file of a commit or of a proposal.
export function fileDiff(file, { open = true } = {}) {
  const from = file.old_path;
  const to = file.new_path;
  const name = from && to && from !== to ? `${from} → ${to}` : to || from || '';
  const body = h('div', {});
  const draw = () => {
    if (body.childElementCount > 0) return;
    if (file.binary) body.append(h('p', { class: 'work-empty' }, 'Not text: it cannot be compared line by line.'));
    else body.append(diffView(file.hunks || [], { label: `Changes of ${name}`, truncated: Boolean(file.truncated) }));
  };
  if (open) draw();
  return h('details', { class: 'file-diff', open, testid: 'file-diff', ontoggle: draw },
    h('summary', {}, h('span', { class: 'path' }, name), h('span', { class: 'file-state' }, FILE_STATES[file.status] || file.status || '')), body);
}
