// Where she has it from. A place of a reply that points at a source gets a small numbered button that tells the
// source and leads to it; under the reply stands the list. The server has put the places into its html, from the
// same offsets that a citation carries. Where no place is known, numbers in brackets are looked for in the text.

import { h, icon, setText } from '../dom.js';

const MARKER = /\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g;
const LEFT_ALONE = 'pre, code, a, button, script, style, math';

// A web address that may be opened, or null.
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : null;
  } catch {
    return null;
  }
}

export const webLink = (url, words, props = {}) => h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer', ...props }, words);

const nameOf = (source) => source.title || webAddress(source.url)?.hostname || 'A source';

function placeOf(source) {
  const parts = [source.page ? `page ${source.page}` : null, webAddress(source.url)?.hostname.replace(/^www\./, '')];
  return parts.filter(Boolean).join(' · ');
}

// One entry for each number, in order; what is odd is left out.
function numbered(citations) {
  const known = new Map();
  for (const one of Array.isArray(citations) ? citations : []) {
    if (Number.isInteger(one?.index) && !known.has(one.index)) known.set(one.index, one);
  }
  return new Map([...known].sort(([a], [b]) => a - b));
}

// Keeps the chips of a reply's body. know(citations) takes what is known now; mark(root) is for what was just drawn.
export function citer(body, context) {
  let known = new Map();
  let placed = false;
  let signs = '';

  function mark(root) {
    if (known.size === 0) return;
    if (placed) for (const place of root.querySelectorAll('.cites[data-cites]')) fillPlace(place);
    else markWords(root);
  }

  // A number nobody gave out stays as it was written.
  function fillPlace(place) {
    const numbers = place.dataset.cites.split(' ').map(Number);
    if (place.firstElementChild || !numbers.every((n) => known.has(n))) return;
    const strays = (place.textContent.match(/\d+/g) || []).map(Number).filter((n) => !numbers.includes(n));
    place.replaceChildren(...numbers.map((n) => chip(n, known.get(n))), ...strays.map((n) => `[${n}]`));
  }

  function markWords(root) {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) => (
      node.data.includes('[') && !node.parentElement?.closest(LEFT_ALONE) ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT));
    const found = [];
    while (walk.nextNode()) found.push(walk.currentNode);
    for (const node of found) markText(node);
  }

  function markText(node) {
    const parts = [];
    let from = 0;
    for (const match of node.data.matchAll(MARKER)) {
      const numbers = match[1].split(',').map(Number);
      if (!numbers.every((n) => known.has(n))) continue;
      parts.push(node.data.slice(from, match.index), h('span', { class: 'cites' }, numbers.map((n) => chip(n, known.get(n)))));
      from = match.index + match[0].length;
    }
    if (from > 0) node.replaceWith(...parts.filter((part) => part !== ''), node.data.slice(from));
  }

  body.addEventListener('click', (event) => {
    const button = event.target.closest?.('.cite');
    const source = button && known.get(Number(button.dataset.cite));
    if (source) openSource(button, source, context);
  });

  return {
    mark,
    know(citations) {
      const next = numbered(citations);
      const sign = [...next.keys()].join(' ');
      known = next;
      placed = next.size > 0 && citations.some((one) => Number.isInteger(one?.start));
      // A reply that was drawn anew without its chips gets them back; what has them is left as it is.
      if (sign !== signs || next.size > 0) mark(body);
      signs = sign;
    },
  };
}

// Its click is heard by the body it stands in, so that equal nodes are equal.
const chip = (number, source) => h('button', { type: 'button', class: 'cite', 'data-cite': String(number), 'aria-label': `Source ${number}: ${nameOf(source)}`, 'aria-haspopup': 'dialog', testid: 'cite' }, String(number));

// The list under a reply.
export function createSources(context) {
  const list = h('ol', { class: 'source-list' });
  const el = h('section', { class: 'sources', 'aria-label': 'Sources', testid: 'sources', hidden: true }, list);
  let shown = '';
  return {
    el,
    update(citations) {
      const sources = [...numbered(citations).values()];
      const sign = JSON.stringify(sources.map(({ index, url, file_id: file, page, title }) => [index, url, file, page, title]));
      if (sign === shown) return;
      shown = sign;
      el.hidden = sources.length === 0;
      list.replaceChildren(...sources.map((source) => {
        const button = h('button', { type: 'button', class: 'source', testid: 'source', 'aria-haspopup': 'dialog', 'aria-label': `Source ${source.index}: ${nameOf(source)}`, onclick: () => openSource(button, source, context) },
          h('span', { class: 'source-number' }, String(source.index)), h('span', { class: 'source-title' }, nameOf(source)), h('span', { class: 'source-place' }, placeOf(source)));
        return h('li', {}, button);
      }));
    },
  };
}

// A small card beside the button: what stands there, and the way to it. Escape and a click elsewhere close it.
function openSource(button, source, { openFile }) {
  document.querySelector('.cite-card')?.dispatchEvent(new Event('close'));
  const url = webAddress(source.url);
  const way = source.file_id
    ? h('button', { type: 'button', class: 'quiet small', testid: 'source-open', onclick: toFile }, icon('file'), source.page ? `Open page ${source.page}` : 'Open it')
    : url ? webLink(url, [icon('out'), `Open ${url.hostname}`], { class: 'quiet small', testid: 'source-open' }) : null;
  const place = h('p', { class: 'cite-place' });
  setText(place, placeOf(source));
  const el = h('div', { class: 'cite-card', role: 'dialog', 'aria-label': `Source ${source.index}`, tabindex: '-1', testid: 'source-card' },
    h('p', { class: 'cite-title' }, h('span', { class: 'source-number' }, String(source.index)), nameOf(source)), place,
    source.snippet ? h('blockquote', { class: 'cite-snippet' }, source.snippet) : null, way);

  function toFile() {
    close(false);
    openFile({ id: source.file_id, name: source.title }, source.page || null, source.snippet || null);
  }

  function close(back = true) {
    if (!el.isConnected) return;
    el.remove();
    document.removeEventListener('pointerdown', outside, true);
    document.removeEventListener('scroll', onScroll, true);
    window.removeEventListener('resize', onScroll);
    if (back && button.isConnected) button.focus();
  }
  const outside = (event) => {
    if (!el.contains(event.target)) close(button.contains(event.target));
  };
  const onScroll = (event) => {
    if (!el.contains(event.target)) close(false);
  };
  el.addEventListener('close', () => close(false));
  el.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' && !(event.key === 'Tab' && leaves(event))) return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  const leaves = (event) => event.shiftKey || document.activeElement === (way || el);

  document.body.append(el);
  const box = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left - 12, innerWidth - el.offsetWidth - 8));
  const below = box.bottom + 6;
  const top = below + el.offsetHeight > innerHeight - 8 ? Math.max(8, box.top - el.offsetHeight - 6) : below;
  el.style.setProperty('left', `${left}px`);
  el.style.setProperty('top', `${top}px`);
  (way || el).focus({ preventScroll: true });
  document.addEventListener('pointerdown', outside, true);
  document.addEventListener('scroll', onScroll, true);
  window.addEventListener('resize', onScroll);
}
