// The chips under a reply: what she remembered while writing it. They open the receipt.

import { h, icon, shortTime } from '../dom.js';
import { things } from '../memory-state.js';
import { memoryText } from '../plain.js';

const CHIPS = 3;
const KIND = { fact: 'Fact', message: 'Message', summary: 'Summary' };

// open(memoryId?): shows the receipt of this reply.
export function createRecalled(open) {
  const el = h('div', { class: 'recalled', role: 'group', 'aria-label': 'What she remembered', testid: 'recalled', hidden: true });
  let drawn = null;

  function chip(memory) {
    const when = shortTime(memory.date);
    const words = memoryText(memory);
    return h('button', {
      type: 'button', class: 'chip', testid: 'recalled-chip', 'data-memory-id': memory.id, 'aria-haspopup': 'dialog', title: memory.why || null,
      'aria-label': `${KIND[memory.kind] || 'Memory'}, ${when}: ${words}`, onclick: () => open(memory.id),
    },
    icon(memory.kind in KIND ? memory.kind : 'memory'),
    h('span', { class: 'chip-text' }, words),
    h('time', { datetime: memory.date }, when));
  }

  function update(recall) {
    const shown = recall && (recall.memories.length > 0 || recall.degraded) ? recall : null;
    if (shown === drawn) return;
    drawn = shown;
    el.hidden = !shown;
    if (!shown) {
      el.replaceChildren();
      return;
    }
    const { memories, degraded } = shown;
    el.replaceChildren(...[
      memories.length > 0 ? h('div', { class: 'recalled-row' },
        h('button', { type: 'button', class: 'recalled-count', testid: 'recalled-count', 'aria-haspopup': 'dialog', onclick: () => open() }, icon('memory'), `remembered ${things(memories.length)}`),
        memories.slice(0, CHIPS).map(chip)) : null,
      degraded ? h('span', { class: 'recalled-note', testid: 'degraded' }, `Not all of her memory was at hand: ${degraded}.`) : null,
    ].filter(Boolean));
  }

  return { el, update };
}
