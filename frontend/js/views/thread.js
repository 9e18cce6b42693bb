// The conversation: keeps the entries in step with the state, loads older ones at the top, and holds
// the reader's place. It follows the newest words only while the reader is at the bottom.

import { arrange, h, icon, mark, setText } from '../dom.js';
import { comesAgain } from '../api.js';
import { createRecalls } from '../recalls.js';
import { items } from '../timeline.js';
import { createView, viewKind } from './message.js';
import { personaOf } from './header.js';
import { connectNote } from './panel.js';

const NEAR_BOTTOM_PX = 48;
const NEAR_TOP_PX = 600;
const PAGE_SHARE = 0.85; // of what is in sight; the rest tells where one was

export function createThread(store, chat, { openReceipt, forget, tools, uploads }) {
  const { state } = store;
  const views = new Map(); // key -> { view, kind, item }
  let stick = true;
  let lastTop = 0;
  let drawnSession = null;
  let lastCount = 0;
  let toldProblem = null; // so that the words of a failed load stay one message

  const list = h('div', { class: 'entries', role: 'log', 'aria-live': 'off', 'aria-label': 'Conversation' });
  const top = h('p', { class: 'older' });
  const empty = h('div', { class: 'empty', hidden: true });
  const inner = h('div', { class: 'thread-inner' }, top, empty, list);
  const scroller = h('main', { class: 'thread', tabindex: '-1', onscroll: onScroll }, inner);
  const recalls = createRecalls(store, scroller);
  const jump = h('button', { type: 'button', class: 'jump', hidden: true, testid: 'jump', onclick: toBottom }, icon('down'), h('span', {}, 'Latest'));
  const el = h('div', { class: 'thread-wrap' }, scroller, jump);

  const gap = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;

  function onScroll() {
    const at = scroller.scrollTop;
    if (gap() < NEAR_BOTTOM_PX) stick = true;
    else if (at < lastTop - 2) stick = false;
    lastTop = at;
    jump.hidden = stick || gap() < 200;
    if (stick) jump.classList.remove('fresh');
    if (at < NEAR_TOP_PX && state.cursor && !state.loadingOlder && state.loaded) chat.loadOlder();
  }

  function toBottom() {
    stick = true;
    scroller.scrollTop = scroller.scrollHeight;
    jump.hidden = true;
    jump.classList.remove('fresh');
  }

  // The entry at the top of the reader's view, and where it stands: the first that begins there, because what is added
  // to an entry later stands at its end; or the one that fills it. A day's name goes up with what is loaded above it.
  function anchor() {
    if (stick) return null;
    const { top: edge, bottom } = scroller.getBoundingClientRect();
    let held = null;
    for (const child of list.querySelectorAll(':scope > .entry')) {
      const box = child.getBoundingClientRect();
      if (box.top >= bottom) break;
      if (box.bottom > edge) held = { child, top: box.top };
      if (box.top >= edge) break;
    }
    return held;
  }

  function settle(held) {
    if (stick) scroller.scrollTop = scroller.scrollHeight;
    else if (held?.child.isConnected) scroller.scrollTop += held.child.getBoundingClientRect().top - held.top;
    lastTop = scroller.scrollTop;
    jump.hidden = stick || gap() < 200;
  }

  function draw() {
    if (drawnSession !== state.sessionId && drawnSession !== null) restart();
    drawnSession = state.sessionId;
    const held = anchor();
    const wanted = items(state);
    reconcile(wanted);
    drawEdges(wanted);
    noteFresh(wanted);
    settle(held);
    if (state.target) reveal(state.target);
    else if (state.loaded && state.cursor && scroller.scrollHeight <= scroller.clientHeight + NEAR_TOP_PX) chat.loadOlder();
  }

  function restart() {
    views.clear();
    list.replaceChildren();
    stick = true;
    lastCount = 0;
    jump.classList.remove('fresh');
  }

  function reconcile(wanted) {
    const keep = new Set(wanted.map((item) => item.key));
    for (const [key, { view }] of views) {
      if (keep.has(key)) continue;
      view.el.remove();
      views.delete(key);
    }
    for (const item of wanted) {
      viewFor(item).update(item);
      views.get(item.key).item = item;
    }
    arrange(list, wanted.map(({ key }) => views.get(key).view.el));
  }

  function viewFor(item) {
    const kind = viewKind(item);
    const known = views.get(item.key);
    if (known && known.kind === kind) return known.view;
    known?.view.el.remove();
    const view = createView(item, { chat, store, openReceipt, forget, tools, uploads, recalls });
    views.set(item.key, { view, kind });
    return view;
  }

  function drawEdges(wanted) {
    setText(top, state.loadingOlder ? 'Looking further back…' : '');
    const problem = state.loadProblem;
    empty.hidden = wanted.length > 0 || (!state.loaded && !problem);
    if (problem !== toldProblem) empty.replaceChildren(...(problem ? [loadFailed(problem)] : []));
    toldProblem = problem;
    if (!problem && !empty.hidden) empty.replaceChildren(...greeting());
  }

  function loadFailed(problem) {
    return h('div', { class: 'problem', role: 'alert', testid: 'error' },
      h('p', { class: 'problem-title' }, problem.title),
      h('p', {}, problem.detail, comesAgain(problem) ? ' Trying again…' : ''),
      h('button', { type: 'button', class: 'quiet small', testid: 'retry', onclick: () => chat.open(state.sessionId) }, 'Try again'));
  }

  function greeting() {
    const persona = personaOf(state, state.session?.persona);
    return [
      mark('huge'),
      h('h2', {}, 'Mira is here.'),
      persona?.description ? h('p', { class: 'empty-voice' }, h('b', {}, persona.title), ' · ', persona.description) : null,
      h('p', { class: 'empty-hint' }, `Write the first thing on your mind. ${state.session?.memory === 'off' ? 'This is off the record: she will not remember it.' : 'She keeps what you tell her.'}`),
      state.rehearsal ? h('div', { class: 'empty-rehearsal' },
        h('p', {}, h('b', {}, 'This is a rehearsal.'), ' No model is connected, so a scripted stand-in answers.'), connectNote()) : null,
    ].filter(Boolean);
  }

  function noteFresh(wanted) {
    const mine = wanted.at(-1)?.kind === 'pending';
    if (wanted.length > lastCount && mine) stick = true;
    else if (wanted.length > lastCount && !stick && lastCount > 0 && wanted.at(-1)?.kind === 'live') jump.classList.add('fresh');
    lastCount = wanted.length;
  }

  function reveal(id) {
    const known = views.get(id);
    if (!known) return;
    state.target = null;
    stick = false;
    const node = known.view.el;
    node.scrollIntoView({ block: 'center' });
    lastTop = scroller.scrollTop;
    node.classList.add('found');
    setTimeout(() => node.classList.remove('found'), 2_400);
    onScroll();
  }

  // While words arrive nothing but the reply itself is touched.
  function drawLive() {
    for (const turn of state.turns.values()) {
      const known = views.get(turn.messageId || turn.id);
      if (known?.item.kind === 'live') known.view.update(known.item);
    }
    settle(null);
  }

  const turnPage = (by) => scroller.scrollBy({ top: by * scroller.clientHeight * PAGE_SHARE });

  function editLast() {
    const own = state.path.findLast((m) => m.role === 'user');
    const view = own && views.get(own.id)?.view;
    if (!view) return false;
    view.startEdit();
    return true;
  }

  // Anything that changes sizes later: fonts, a resized window, a phone's keyboard.
  const sizes = new ResizeObserver(() => {
    if (stick) scroller.scrollTop = scroller.scrollHeight;
    lastTop = scroller.scrollTop;
  });
  sizes.observe(inner);
  sizes.observe(scroller);

  store.on(['thread', 'session', 'personas', 'health'], draw);
  store.on(['live'], drawLive);
  return { el, scroller, editLast, turnPage };
}
