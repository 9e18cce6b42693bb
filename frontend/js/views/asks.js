// What she asks for before she does it: on the card of the call, and, for calls whose card is not on
// screen, above the message field. To refuse is the safe answer: it stands first, and neither answer
// can be given by a key or click that was meant for something else.

import { h, icon, setText } from '../dom.js';
import { approvalOf } from '../file-state.js';
import { wish } from '../tool-words.js';
import { sessionTitle } from './sidebar.js';

const SETTLES_MS = 700;
const SHOWN_CHARS = 4_000;

function timeLeft(expires) {
  const seconds = Math.round((Date.parse(expires) - Date.now()) / 1_000);
  if (!Number.isFinite(seconds)) return '';
  if (seconds <= 0) return 'The time is over.';
  if (seconds < 60) return `${seconds} s left`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min left` : `${Math.round(seconds / 3_600)} h left`;
}

function argumentsOf({ arguments: value }) {
  if (value === null || value === undefined) return null;
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  if (text === '{}') return null;
  const shown = text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}\n…` : text;
  return h('pre', { class: 'ask-arguments', tabindex: '0', 'aria-label': 'With exactly this', testid: 'ask-arguments' }, shown);
}

// One question. extra: more ways out of it.
function createAsk(approval, approvals, { extra = [] } = {}) {
  const left = h('span', { class: 'ask-left', testid: 'ask-left' });
  const deny = h('button', { type: 'button', class: 'quiet small', testid: 'deny', disabled: true, onclick: () => approvals.answer(approval.id, false) }, icon('no'), 'Do not');
  const allow = h('button', { type: 'button', class: 'quiet small ask-allow', testid: 'approve', disabled: true, onclick: () => approvals.answer(approval.id, true) }, icon('check'), 'Allow once');
  const el = h('section', { class: 'ask', 'aria-label': 'She asks for your word', testid: 'ask', 'data-approval-id': approval.id },
    h('p', { class: 'ask-wish' }, 'May she ', h('b', {}, wish(approval)), '?'),
    approval.reason ? h('p', { class: 'ask-reason' }, approval.reason) : null,
    argumentsOf(approval),
    h('div', { class: 'ask-row' }, deny, allow, ...extra, h('span', { class: 'spacer' }), left));
  let settled = false;
  let clock = 0;

  function draw() {
    const idle = !approvals.isAnswering(approval.id);
    for (const button of [deny, allow]) button.disabled = !settled || !idle;
    setText(left, idle ? timeLeft(approval.expires_at) : 'one moment…');
    if (Date.parse(approval.expires_at) <= Date.now()) approvals.refresh();
  }

  setTimeout(() => {
    settled = true;
    draw();
  }, SETTLES_MS);
  clock = setInterval(() => {
    if (el.isConnected) draw();
    else clearInterval(clock);
  }, 1_000);
  draw();
  return { el, draw };
}

// The place for a question on a call's card.
export function createAskSlot({ store, approvals }) {
  const el = h('div', { class: 'ask-slot' });
  let shown = null;
  return {
    el,
    // Answers whether something waits.
    update(callId) {
      const approval = approvalOf(store.state, callId);
      if (approval?.id !== shown?.id) {
        shown = approval ? { id: approval.id, ...createAsk(approval, approvals) } : null;
        el.replaceChildren(...(shown ? [shown.el] : []));
      }
      shown?.draw();
      return Boolean(approval);
    },
  };
}

// Calls that wait elsewhere, or whose turn is over.
export function createAskBar(store, approvals, { go }) {
  const { state } = store;
  const rows = new Map();
  const list = h('div', { class: 'ask-list' });
  const el = h('aside', { class: 'ask-bar', 'aria-label': 'She waits for your word', testid: 'ask-bar', hidden: true }, list);

  const hasCard = (approval) => approval.session_id === state.sessionId && [...state.turns.values()].some((turn) => turn.calls.some((call) => call.tool_call_id === approval.tool_call_id));

  function whereFrom(approval) {
    if (approval.session_id === state.sessionId) return h('p', { class: 'ask-where' }, 'Left from before: that turn is over, but it can still be done.');
    const session = state.sessions.find((one) => one.id === approval.session_id);
    return h('p', { class: 'ask-where' }, 'In ', h('button', { type: 'button', class: 'text-button', testid: 'ask-go', onclick: () => go(approval.session_id) }, session ? sessionTitle(state, session) : 'another conversation'));
  }

  function draw() {
    const waiting = [...state.approvals.values()].filter((approval) => !hasCard(approval));
    const keep = new Set(waiting.map((approval) => approval.id));
    for (const [id, known] of rows) {
      if (keep.has(id)) continue;
      known.el.remove();
      rows.delete(id);
    }
    for (const approval of waiting) {
      const known = rows.get(approval.id);
      if (known && known.session === state.sessionId) {
        known.ask.draw();
        continue;
      }
      known?.el.remove();
      const ask = createAsk(approval, approvals);
      const row = h('div', { class: 'ask-one' }, whereFrom(approval), ask.el);
      rows.set(approval.id, { el: row, ask, session: state.sessionId });
      list.append(row);
    }
    el.hidden = waiting.length === 0;
  }

  store.on(['approvals', 'session', 'thread', 'sessions'], draw);
  return el;
}
