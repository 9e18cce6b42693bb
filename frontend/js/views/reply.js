// The body of a reply while it is being written. Cheap however long the reply is: only the blocks
// that changed are replaced, at most once per frame, and a big block less often, in proportion to
// what drawing it costs. Until the server's html is there, the plain text is shown.

import { h, setServerHtml } from '../dom.js';
import { setFormulas } from './formulas.js';
import { decorate, growServerHtml } from './rich.js';

const COST_FACTOR = 6; // a block may use about a seventh of the time
const FRAME_MS = 16;
const GROWS_FROM_CHARS = 4_000; // below it, drawing anew is cheaper than comparing

// Blocks may be joined with or without line ends.
const bare = (html) => html.replaceAll('\n', '');

// finish(root): a last touch on what was drawn; it must change nothing when it is repeated.
export function createReply(body, { finish = () => {} } = {}) {
  let slots = []; // { el, html, cost, drawn }
  let text = null;
  let timer = 0;
  let current = null;

  function clear() {
    clearTimeout(timer);
    timer = 0;
    slots = [];
    text = null;
    current = null;
    body.classList.remove('plain');
  }

  // All blocks from the first on must be there: after a reconnect the early ones may be missing.
  function isWhole(blocks) {
    if (blocks.length === 0) return false;
    for (let index = 0; index < blocks.length; index += 1) if (blocks[index] === undefined) return false;
    return true;
  }

  function drawText(content) {
    if (!text) {
      slots = [];
      text = document.createTextNode('');
      body.replaceChildren(text);
      body.classList.add('plain');
    }
    if (content.startsWith(text.data) === false) text.data = content;
    else if (content.length > text.length) text.appendData(content.slice(text.length));
  }

  function drawBlocks(blocks) {
    if (text || slots.length === 0) {
      text = null;
      slots = [];
      body.replaceChildren();
      body.classList.remove('plain');
    }
    while (slots.length > blocks.length) slots.pop().el.remove();
    const now = performance.now();
    let late = Infinity;
    for (let index = 0; index < blocks.length; index += 1) {
      const slot = slots[index] || addSlot();
      if (slot.html === blocks[index]) continue;
      const due = slot.drawn + slot.cost * COST_FACTOR;
      // Only the last one grows on and may wait: what stands before a block is never drawn after it.
      if (due > now && index === blocks.length - 1) late = due - now;
      else drawSlot(slot, blocks[index]);
    }
    if (late < Infinity && !timer) {
      timer = setTimeout(() => {
        timer = 0;
        if (current) draw(current);
      }, late);
    }
  }

  function addSlot() {
    const slot = { el: h('div', { class: 'block' }), html: null, cost: 0, drawn: 0 };
    slots.push(slot);
    body.append(slot.el);
    return slot;
  }

  function drawSlot(slot, html) {
    const begin = performance.now();
    if (html.length > GROWS_FROM_CHARS) {
      growServerHtml(slot.el, html, finish);
    } else {
      setServerHtml(slot.el, html);
      decorate(slot.el);
      finish(slot.el);
    }
    slot.html = html;
    slot.drawn = performance.now();
    slot.cost = slot.drawn - begin;
    // Layout and paint come after this frame and are the greater part of a big block's cost.
    requestAnimationFrame(() => {
      slot.drawn = performance.now();
      slot.cost = Math.max(slot.cost, slot.drawn - begin - FRAME_MS);
    });
  }

  // Whether the blocks on screen are already this finished html; late ones are drawn first. Then
  // nothing has to be replaced when the reply is done.
  function holds(html) {
    if (!current || text || slots.length === 0 || !isWhole(current.blocks)) return false;
    if (bare(current.blocks.join('')) !== bare(html)) return false;
    current.blocks.forEach((block, index) => {
      const slot = slots[index] || addSlot();
      if (slot.html !== block) drawSlot(slot, block);
    });
    return slots.length === current.blocks.length;
  }

  function draw(turn) {
    current = turn;
    if (isWhole(turn.blocks)) {
      drawBlocks(turn.blocks);
      setFormulas(body, turn.content, { growing: true });
    } else {
      drawText(turn.content);
    }
  }

  return { draw, holds, clear };
}
