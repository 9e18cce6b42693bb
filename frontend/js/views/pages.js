// The frame of a list that is read page by page: rows kept by id, an empty list in words, the next page.

import { arrange, h, setText } from '../dom.js';
import { inWords } from './form.js';

// page(): the list in the state. row(item): { el, update(item) }. nothing(page): the words of an empty list.
export function createList({ testid, label, page, row, nothing, more, again = more }) {
  const rows = new Map();
  let goesOn = null; // where the keyboard goes once the next page is there
  const list = h('ul', { class: 'work-list', testid, 'aria-label': label });
  const empty = h('p', { class: 'work-empty', testid: `${testid}-empty`, hidden: true });
  const problem = h('p', { class: 'form-problem', role: 'alert', testid: `${testid}-problem` });
  const retry = h('button', { type: 'button', class: 'quiet small', hidden: true, onclick: () => again() }, 'Try again');
  const next = h('button', { type: 'button', class: 'quiet small', testid: `${testid}-more`, hidden: true, onclick: showMore }, 'Show more');
  const waiting = h('p', { class: 'work-hint', hidden: true }, 'Reading…');
  const el = h('div', { class: 'work-pages' }, list, waiting, empty, problem, retry, next);

  function showMore() {
    goesOn = rows.size;
    more();
  }

  function draw(items = page().list) {
    const shown = page();
    const keep = new Set(items.map((item) => item.id));
    for (const [id, known] of rows) {
      if (keep.has(id)) continue;
      if (known.el.contains(document.activeElement)) (known.el.nextElementSibling || known.el.previousElementSibling)?.querySelector('button')?.focus();
      known.el.remove();
      rows.delete(id);
    }
    for (const item of items) {
      if (!rows.has(item.id)) rows.set(item.id, row(item));
      rows.get(item.id).update(item);
    }
    arrange(list, items.map(({ id }) => rows.get(id).el));
    waiting.hidden = !shown.loading || items.length > 0;
    empty.hidden = items.length > 0 || !shown.loaded || Boolean(shown.problem);
    if (!empty.hidden) setText(empty, nothing(shown));
    setText(problem, shown.problem ? inWords(shown.problem) : '');
    retry.hidden = !shown.problem;
    next.hidden = !shown.cursor || shown.loading;
    if (goesOn === null || shown.loading) return;
    // Where no frame passed since it was hidden, the button still has the keyboard.
    if ([document.body, next].includes(document.activeElement)) list.children[goesOn]?.querySelector('button')?.focus({ preventScroll: true });
    goesOn = null;
  }

  return { el, draw, rowOf: (id) => rows.get(id) };
}
