// A text with line numbers, as text nodes. Long ones are drawn in pieces. Numbers are buttons where lines
// can be chosen.

import { h } from '../dom.js';

const LINES_AT_ONCE = 1_500;

// choose(start, end): lines were picked; mark: { start, end } to be shown as found.
export function linesView(text, { label = 'Text', choose = null, mark = null } = {}) {
  const lines = text.split('\n');
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  const body = h('tbody', {});
  const more = h('button', { type: 'button', class: 'quiet small' }, 'Show more lines');
  let shown = 0;
  let from = null;
  let marked = mark;

  const inside = (number) => marked && number >= marked.start && number <= marked.end;

  function pick(number, extend) {
    const start = extend && from ? Math.min(from, number) : number;
    const end = extend && from ? Math.max(from, number) : number;
    if (!extend || !from) from = number;
    remark({ start, end });
    choose(start, end);
  }

  function remark(next) {
    marked = next;
    [...body.rows].forEach((row, at) => row.classList.toggle('line-marked', Boolean(inside(at + 1))));
  }

  function numberCell(number) {
    if (!choose) return h('td', { class: 'line-number' }, String(number));
    return h('td', { class: 'line-number' }, h('button', {
      type: 'button', tabindex: '-1', 'aria-label': `Line ${number}`, onclick: (event) => pick(number, event.shiftKey),
    }, String(number)));
  }

  function extend(upTo = shown + LINES_AT_ONCE) {
    const next = lines.slice(shown, upTo);
    body.append(...next.map((line, at) => {
      const number = shown + at + 1;
      return h('tr', { class: inside(number) ? 'line-marked' : '', 'data-line': String(number) }, numberCell(number), h('td', { class: 'line-text' }, line));
    }));
    shown += next.length;
    more.hidden = shown >= lines.length;
  }

  more.addEventListener('click', () => extend());
  extend(Math.max(LINES_AT_ONCE, (mark?.end || 0) + 200));
  const el = h('div', { class: 'lines-box' }, h('div', { class: 'lines-scroll', tabindex: '0', role: 'region', 'aria-label': label }, h('table', { class: 'lines' }, body)), more);
  return {
    el,
    reveal() {
      if (marked) body.rows[marked.start - 1]?.scrollIntoView({ block: 'center' });
    },
    text: (start, end) => lines.slice(start - 1, end).join('\n'),
  };
}
