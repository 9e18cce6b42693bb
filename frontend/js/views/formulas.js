// Formulas in a text that the server has rendered: $$...$$, \[...\] and \(...\), outside of code. Markdown takes back
// strokes and stars out of them, so each is read from the text as it was written and set where what is left of it stands.

import { h } from '../dom.js';
import { MOST_CHARS, mathNode } from '../math.js';

const OPENING = /\$\$|\\[[(]/;
const CLOSES = new Map([['$$', '$$'], ['\\[', '\\]'], ['\\(', '\\)']]);
const MOST = 500; // of one text
const LOST = /[\s\\*_~`]+/g; // what Markdown may take out, or put in
const LEFT_ALONE = 'pre, code, a, button';
const BLOCK = 'p, li, td, th, h1, h2, h3, h4, h5, h6, blockquote';

// { start, end, opens } of each, as it was written.
export function findFormulas(source) {
  const found = [];
  const token = /(^|\n)[ ]{0,3}(`{3,}|~{3,})|(`+)|\$\$|\\[^]/g;
  for (let match = token.exec(source); match && found.length < MOST; match = token.exec(source)) {
    const [text, , fence, ticks] = match;
    const end = fence ? endOfFence(source, token.lastIndex, fence) : ticks ? endOfCode(source, token.lastIndex, ticks) : null;
    if (end !== null) {
      token.lastIndex = end;
    } else if (CLOSES.has(text)) {
      const ahead = source.slice(token.lastIndex, token.lastIndex + MOST_CHARS + 2);
      const inside = ahead.slice(0, Math.max(ahead.indexOf(CLOSES.get(text)), 0));
      if (!inside.trim() || /\n[ \t]*\n/.test(inside)) continue;
      token.lastIndex += inside.length + 2;
      found.push({ start: match.index, end: token.lastIndex, opens: text });
    }
  }
  return found;
}

function endOfFence(source, from, fence) {
  const closing = new RegExp(`\\n[ ]{0,3}${fence[0]}{${fence.length},}[ \\t]*(?=\\n|$)`, 'g');
  closing.lastIndex = from;
  return closing.exec(source) ? closing.lastIndex : source.length;
}

// Strokes that nothing closes are strokes.
function endOfCode(source, from, ticks) {
  const closing = new RegExp(`(?<!\`)${ticks}(?!\`)`, 'g');
  closing.lastIndex = from;
  return closing.exec(source) ? closing.lastIndex : from;
}

const kept = (text) => text.replace(LOST, '');

// What is kept of the text on screen, and which part of it each node has; no node where a formula is set already.
function readShown(root) {
  let text = '';
  const parts = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) => {
    if (node.nodeType === Node.TEXT_NODE || node.dataset?.formula) return NodeFilter.FILTER_ACCEPT;
    return node.localName === 'math' ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP;
  });
  while (walk.nextNode()) {
    const { currentNode: node } = walk;
    parts.push({ node: node.data === undefined ? null : node, from: text.length });
    text += kept(node.dataset?.formula || node.data);
  }
  return { text, parts };
}

// Where a letter of what is kept stands, or null.
function placeOf({ parts }, letter) {
  const { node, from } = parts.findLast((part) => part.from <= letter);
  if (!node) return null;
  let left = letter - from;
  for (let at = 0; ; at += 1) {
    if (kept(node.data[at]) === '') continue;
    if (left === 0) return { node, at };
    left -= 1;
  }
}

// Sets the formulas of `source` in `root`. growing: more of it is on its way, and not all of it is on screen.
export function setFormulas(root, source, { growing = false } = {}) {
  if (!OPENING.test(source)) return;
  const formulas = findFormulas(source);
  if (formulas.length === 0) return;
  const shown = readShown(root);
  const written = kept(source);
  const where = new Map(); // what is left of a formula -> its places in both
  let [from, before] = [0, 0];
  const wanted = formulas.map(({ start, end, opens }) => {
    before += kept(source.slice(from, start)).length;
    from = start;
    return { formula: source.slice(start, end), opens, before };
  });
  // From the end on, so that what stands before keeps its place.
  for (const { formula, opens, before: place } of wanted.reverse()) {
    const left = kept(formula);
    if (!where.has(left)) where.set(left, { asked: placesOf(written, left), there: placesOf(shown.text, left) });
    const { asked, there } = where.get(left);
    const at = growing || asked.length === there.length ? there[asked.indexOf(place)] : undefined;
    if (at !== undefined) setOne(placeOf(shown, at), placeOf(shown, at + left.length - 1), formula, opens);
  }
}

function placesOf(text, part) {
  const places = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) places.push(at);
  return places;
}

// What cannot be set, or reaches from one paragraph into another, stays as it was written.
function setOne(first, last, formula, opens) {
  if (!first || !last) return;
  const [from, to] = [first.node.parentElement, last.node.parentElement];
  if (from.closest(LEFT_ALONE) || to.closest(LEFT_ALONE) || from.closest(BLOCK) !== to.closest(BLOCK)) return;
  const display = opens !== '\\(';
  const math = mathNode(formula.slice(2, -2).trim(), display);
  if (!math) return;
  const range = document.createRange();
  range.setStart(first.node, first.at);
  range.setEnd(last.node, last.at + 1);
  range.deleteContents();
  range.insertNode(h('span', { class: display ? 'formula display' : 'formula', 'data-formula': formula, testid: 'formula' }, math));
}
