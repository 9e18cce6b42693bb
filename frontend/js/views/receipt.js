// The receipt of a reply: what she had in mind as she wrote it, what came up and was left out, what was
// looked at; in plain words first, with the numbers folded away. The owner can correct, pin and forget
// right here.

import { api } from '../api.js';
import { h, iconButton, setText } from '../dom.js';
import { plural, things } from '../memory-state.js';
import { memoryText } from '../plain.js';
import { createCard } from './memory-card.js';

const CONSIDERED_SHOWN = 30;
const LOADED_AT_ONCE = 6;

// What the parts of a prompt are, in words; one that is not known here is shown by its own name.
const PARTS = {
  system: 'who she is', summaries: 'notes on earlier talk', history: 'the recent conversation', message: 'your message',
  memories: 'what she remembered', state: 'the moment: the time, her mood',
};

export function createReceipt(store, chat, memories) {
  const { state } = store;
  const lead = h('p', { class: 'receipt-lead', role: 'status', testid: 'receipt-lead' });
  const content = h('div', { class: 'receipt-content' });
  const el = h('dialog', { class: 'sheet', 'aria-labelledby': 'receipt-title', testid: 'receipt' },
    h('div', { class: 'sheet-top' }, h('h2', { id: 'receipt-title' }, 'What she had in mind'), iconButton('close', 'Close', { testid: 'receipt-close', onclick: () => el.close() })),
    h('div', { class: 'sheet-body' }, lead, content));
  let cards = new Map(); // memory id -> card
  let opening = 0;

  async function open(messageId, focusId = null) {
    const mine = ++opening;
    cards = new Map();
    setText(lead, 'Looking it up…');
    content.replaceChildren();
    if (!el.open) el.showModal();
    try {
      const receipt = await api.receipt(messageId);
      if (mine === opening) draw(receipt, focusId);
    } catch (problem) {
      if (mine !== opening) return;
      const recall = state.recalls.get(messageId);
      if (problem.status === 404 && recall) drawRecall(recall, messageId, focusId);
      else setText(lead, problem.status === 404 ? 'Nothing was noted down for this reply: it was made before she kept such notes, or off the record.' : problem.detail || problem.title);
    }
  }

  // She is still writing: the receipt is stored with the reply, but what came up is known already.
  function drawRecall({ memories: recalled, degraded }, messageId, focusId) {
    const used = recalled.map((m) => ({ ...m, memory_id: m.id, reason: m.why }));
    setText(lead, state.path.some((m) => m.id === messageId) ? '' : 'She is still writing. The rest is noted when she is done.');
    content.replaceChildren(...[quiet(degraded), section('In her mind as she wrote', used, 'receipt-used')].filter(Boolean));
    settle(used, focusId);
  }

  function draw(receipt, focusId) {
    const used = receipt.used || [];
    const dropped = receipt.dropped || [];
    const named = new Set([...used, ...dropped].map((item) => item.memory_id));
    const considered = (receipt.considered || []).filter((item) => !named.has(item.memory_id));
    const spent = used.reduce((sum, item) => sum + (item.tokens || 0), 0);
    const whole = (receipt.tokens || []).reduce((sum, part) => sum + part.tokens, 0);
    setText(lead, used.length === 0
      ? 'Nothing remembered went into this reply. She wrote it from the conversation alone.'
      : `She remembered ${things(used.length)} as she wrote this: about ${share(spent, whole)} of everything she read for it.`);
    content.replaceChildren(...[
      quiet(receipt.degraded),
      noRoom(receipt.left_out),
      section('In her mind as she wrote', used, 'receipt-used'),
      section('Came up, but was left out', dropped, 'receipt-dropped'),
      folded(considered),
      numbers(receipt, [...used, ...dropped, ...considered]),
    ].filter(Boolean));
    settle([...used, ...dropped], focusId);
  }

  function share(part, whole) {
    if (!whole) return plural(part, 'token');
    const percent = Math.round((part / whole) * 100);
    return percent < 1 ? 'less than one percent' : `${percent} percent`;
  }

  const quiet = (degraded) => (degraded ? h('p', { class: 'receipt-degraded', role: 'note', testid: 'receipt-degraded' }, `Not all of her memory was at hand this time: ${degraded}.`) : null);

  // The oldest of a long conversation.
  function noRoom(leftOut) {
    const parts = [leftOut?.messages ? plural(leftOut.messages, 'earlier message') : null, leftOut?.notes ? plural(leftOut.notes, 'older note') : null].filter(Boolean);
    if (parts.length === 0) return null;
    return h('p', { class: 'receipt-more', testid: 'receipt-left-out' }, `There was no room any more for ${parts.join(' and ')} of this conversation.`);
  }

  function section(title, list, testid) {
    if (list.length === 0) return null;
    return h('section', { testid }, h('h3', {}, title), h('ul', { class: 'memory-list' }, list.map(cardOf)));
  }

  function folded(list) {
    if (list.length === 0) return null;
    const shown = list.slice(0, CONSIDERED_SHOWN);
    const details = h('details', { class: 'receipt-fold', testid: 'receipt-considered' },
      h('summary', {}, `Looked at, but others fitted better (${list.length})`),
      h('ul', { class: 'memory-list' }, shown.map(cardOf)),
      list.length > shown.length ? h('p', { class: 'receipt-more' }, `and ${list.length - shown.length} more, further off`) : null);
    details.addEventListener('toggle', () => complete(shown), { once: true });
    return details;
  }

  function cardOf(item) {
    const card = createCard(memories, { show: follow, onGone: emptied });
    card.update(memoryOf(item), { reason: item.reason });
    if (item.text === null || state.forgotten.has(item.memory_id)) card.empty();
    cards.set(item.memory_id, card);
    return card.el;
  }

  const memoryOf = (item) => ({ id: item.memory_id, kind: item.kind, text: item.text || '', date: item.date, message_id: item.message_id || null, session_id: item.session_id || null });

  function emptied(card) {
    card.empty();
    card.el.querySelector('[tabindex]')?.focus();
  }

  async function follow({ messageId, sessionId }) {
    el.close();
    await chat.show(messageId, sessionId);
  }

  function settle(list, focusId) {
    complete(list);
    const card = cards.get(focusId);
    if (!card) return;
    card.el.classList.add('asked');
    card.el.scrollIntoView({ block: 'nearest' });
  }

  // A receipt names its memories; what they are now is read from where they are kept. A few at a time.
  async function complete(list) {
    const mine = opening;
    const waiting = [...list];
    const work = async () => {
      for (let item = waiting.shift(); item && mine === opening; item = waiting.shift()) await completeOne(item, mine);
    };
    await Promise.all(Array.from({ length: LOADED_AT_ONCE }, work));
  }

  async function completeOne(item, mine) {
    try {
      const memory = await memories.find(item.memory_id);
      const card = cards.get(item.memory_id);
      if (mine !== opening || !card || card.editing || card.el.classList.contains('gone')) return;
      if (memory) card.update(memory);
      else card.empty();
    } catch {
      // What the receipt says of it stays on screen.
    }
  }

  function numbers(receipt, list) {
    const figure = (value) => (typeof value === 'number' ? value.toFixed(2) : '');
    const row = (item) => h('tr', { 'data-memory-id': item.memory_id },
      h('td', { class: 'number-text' }, memoryText(item) || item.kind),
      ...[item.rank, figure(item.scores?.total), figure(item.scores?.lexical), figure(item.scores?.cosine), figure(item.scores?.bonus), item.tokens || ''].map((value) => h('td', {}, String(value ?? ''))));
    const parts = receipt.tokens || [];
    return h('details', { class: 'receipt-fold', testid: 'receipt-numbers' },
      h('summary', {}, 'The numbers'),
      list.length > 0 ? h('div', { class: 'table-box', tabindex: '0', role: 'region', 'aria-label': 'Scores' }, h('table', {},
        h('thead', {}, h('tr', {}, ...['Memory', 'Place', 'Score', 'Words', 'Meaning', 'Extra', 'Tokens'].map((name) => h('th', { scope: 'col' }, name)))),
        h('tbody', {}, list.map(row)))) : null,
      parts.length > 0 ? h('p', {}, 'What she read, in tokens (estimated):') : null,
      parts.length > 0 ? h('ul', { class: 'number-parts' }, parts.map((part) => h('li', {}, h('span', {}, PARTS[part.part] || part.part.replaceAll('_', ' ')), h('span', {}, part.tokens.toLocaleString())))) : null,
      receipt.prompt_hash ? h('p', { class: 'number-hash' }, 'Fingerprint of the prompt (SHA-256): ', h('code', {}, receipt.prompt_hash)) : null);
  }

  // Forgotten elsewhere while the receipt is open.
  function dropForgotten() {
    if (!el.open) return;
    for (const [id, card] of cards) {
      if (!state.forgotten.has(id) || card.el.classList.contains('gone')) continue;
      card.empty();
    }
    for (const cell of el.querySelectorAll('tr[data-memory-id]')) if (state.forgotten.has(cell.dataset.memoryId)) cell.remove();
  }

  el.addEventListener('click', (event) => {
    if (event.target === el) el.close();
  });
  // Nothing of it stays in the page when it is closed.
  el.addEventListener('close', () => {
    opening += 1;
    cards = new Map();
    content.replaceChildren();
    setText(lead, '');
  });
  store.on(['forgotten'], dropForgotten);
  return { el, open };
}
