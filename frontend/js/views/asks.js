// What she asks for before she does it: on the card of the call, and, where its turn is over, above the message field;
// for other conversations a badge that leads there. To refuse is the safe answer: it stands first, and neither answer
// can be given by a key or click that was meant for something else.

import { h, icon, iconButton, setText } from '../dom.js';
import { approvalOf, isLeftOver, waitingElsewhere } from '../file-state.js';
import { plural } from '../memory-state.js';
import { wish } from '../tool-words.js';
import { openMenu } from './menu.js';
import { sessionTitle } from './sidebar.js';

const SETTLES_MS = 700;

function timeLeft(expires) {
  const seconds = Math.round((Date.parse(expires) - Date.now()) / 1_000);
  if (!Number.isFinite(seconds)) return '';
  if (seconds <= 0) return 'The time is over.';
  if (seconds < 60) return `${seconds} s left`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min left` : `${Math.round(seconds / 3_600)} h left`;
}

// All of it: whoever allows a call has to be able to read what it does.
function argumentsOf({ arguments: value, whole }) {
  if (!whole) return h('p', { class: 'ask-reason', testid: 'ask-reading' }, 'One moment: reading all of it…');
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  if (text === '{}' || text === '') return null;
  return h('pre', { class: 'ask-arguments', tabindex: '0', role: 'region', 'aria-label': 'With exactly this', testid: 'ask-arguments' }, text);
}

// One question: { el, draw(approval) }.
function createAsk(approvals) {
  const wished = h('b', {});
  const reason = h('p', { class: 'ask-reason' });
  const left = h('span', { class: 'ask-left', testid: 'ask-left' });
  const deny = h('button', { type: 'button', class: 'quiet small', testid: 'deny', disabled: true, onclick: () => approvals.answer(shown.id, false) }, icon('no'), 'Do not');
  const allow = h('button', { type: 'button', class: 'quiet small ask-allow', testid: 'approve', disabled: true, onclick: () => approvals.answer(shown.id, true) }, icon('check'), 'Allow once');
  const row = h('div', { class: 'ask-row' }, deny, allow, h('span', { class: 'spacer' }), left);
  const middle = h('div', { class: 'ask-middle' });
  const el = h('section', { class: 'ask', tabindex: '-1', 'aria-label': 'She asks for your word', testid: 'ask' }, h('p', { class: 'ask-wish' }, 'May she ', wished, '?'), reason, middle, row);
  let shown = null;
  let settled = false;

  function drawState() {
    const idle = !approvals.isAnswering(shown.id);
    deny.disabled = !settled || !idle;
    allow.disabled = deny.disabled || !shown.whole;
    setText(left, idle ? timeLeft(shown.expires_at) : 'one moment…');
  }

  function draw(approval) {
    if (approval !== shown) {
      shown = approval;
      el.dataset.approvalId = approval.id;
      setText(wished, wish(approval));
      setText(reason, approval.reason || '');
      middle.replaceChildren(...[argumentsOf(approval)].filter(Boolean));
    }
    drawState();
  }

  setTimeout(() => {
    settled = true;
    drawState();
  }, SETTLES_MS);
  const clock = setInterval(() => {
    if (el.isConnected) drawState();
    else clearInterval(clock);
  }, 1_000);
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
        shown = approval ? { id: approval.id, ask: createAsk(approvals) } : null;
        el.replaceChildren(...(shown ? [shown.ask.el] : []));
      }
      if (approval) shown.ask.draw(approval);
      return Boolean(approval);
    },
  };
}

function leftOver(approvals) {
  const ask = createAsk(approvals);
  return {
    el: h('div', { class: 'ask-one' }, h('p', { class: 'ask-where' }, 'Left from before: that turn is over, but it can still be done.'), ask.el),
    draw: ask.draw,
  };
}

// Nobody answered in time.
function tooLate(approvals) {
  const words = h('p', { class: 'ask-wish' });
  let id = null;
  return {
    el: h('div', { class: 'ask-one expired', testid: 'ask-expired' }, h('div', { class: 'ask' },
      h('div', { class: 'ask-row' }, h('span', { class: 'ask-over' }, icon('history'), 'Expired'), h('span', { class: 'spacer' }),
        iconButton('close', 'Put it away', { testid: 'ask-dismiss', onclick: () => approvals.dismiss(id) })), words)),
    draw(approval) {
      ({ id } = approval);
      setText(words, `She asked to ${wish(approval)}. Nobody answered in time, and it was not done.`);
    },
  };
}

// Calls of this conversation whose turn is over.
export function createAskBar(store, approvals) {
  const { state } = store;
  const rows = new Map();
  const list = h('div', { class: 'ask-list' });
  const el = h('aside', { class: 'ask-bar', 'aria-label': 'She waits for your word', testid: 'ask-bar', hidden: true }, list);

  function draw() {
    const here = [...state.approvals.values()].filter((approval) => isLeftOver(state, approval));
    const status = new Map(here.map((approval) => [approval.id, approval.status]));
    for (const [id, row] of rows) {
      if (status.get(id) === row.status) continue;
      row.view.el.remove();
      rows.delete(id);
    }
    for (const approval of here) {
      if (!rows.has(approval.id)) {
        const view = approval.status === 'pending' ? leftOver(approvals) : tooLate(approvals);
        rows.set(approval.id, { view, status: approval.status });
        list.append(view.el);
      }
      rows.get(approval.id).view.draw(approval);
    }
    el.hidden = here.length === 0;
  }

  store.on(['approvals', 'session', 'thread'], draw);
  return el;
}

// Tells of calls that wait in other conversations, and leads there.
export function createWaitsBadge(store, { go }) {
  const { state } = store;
  const count = h('span', { class: 'waits-count' });
  const el = h('button', { type: 'button', class: 'waits-badge', testid: 'waits-badge', hidden: true, onclick: lead }, icon('unsure'), count, h('span', { class: 'waits-words' }, 'for your word'));

  function titleOf(id) {
    const session = state.sessions.find((one) => one.id === id);
    return session || id === state.defaultId ? sessionTitle(state, session || { id }) : 'Another conversation';
  }

  function lead() {
    const homes = [...waitingElsewhere(state)];
    if (homes.length === 1) visit(homes[0][0]);
    else if (homes.length > 1) openMenu(el, homes.map(([id, waits]) => ({ icon: 'message', label: `${titleOf(id)} (${waits})`, testid: 'waits-in', run: () => visit(id) })), () => {});
  }

  // The question itself is read next, by eye or by ear.
  async function visit(id) {
    await go(id);
    requestAnimationFrame(() => requestAnimationFrame(() => (document.querySelector('[data-testid="ask"]') || document.querySelector('main'))?.focus({ preventScroll: true })));
  }

  function draw() {
    const homes = waitingElsewhere(state);
    const waits = [...homes.values()].reduce((sum, one) => sum + one, 0);
    el.hidden = waits === 0;
    if (waits === 0) return;
    setText(count, String(waits));
    const where = homes.size === 1 ? `in “${titleOf([...homes.keys()][0])}”` : `in ${homes.size} conversations`;
    el.title = `${plural(waits, 'question')} ${waits === 1 ? 'waits' : 'wait'} for your word ${where}`;
    el.setAttribute('aria-label', el.title);
    if (homes.size > 1) el.setAttribute('aria-haspopup', 'menu');
    else el.removeAttribute('aria-haspopup');
  }

  store.on(['approvals', 'session', 'sessions', 'thread'], draw);
  return el;
}
