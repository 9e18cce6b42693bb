// The memory panel: everything she remembers, to be searched, corrected, pinned, added to and forgotten;
// whether she remembers at all, here and everywhere; and how her memory is.

import { arrange, h, icon, iconButton, setText } from '../dom.js';
import { MODES, groups, plural } from '../memory-state.js';
import { say } from './notices.js';
import { createCard, factForm, inWords } from './memory-card.js';

const DELAY_MS = 200;
const KINDS = [['fact', 'Facts'], ['message', 'Messages'], ['summary', 'Summaries'], ['', 'All']];
const NOTHING = {
  fact: 'Nothing yet. Tell her something about yourself, a plan, a name, a thing you cannot stand: what she takes to heart turns up here.',
  message: 'Nothing has been said yet that she may remember.',
  summary: 'None yet. She writes them when a conversation grows long.',
  '': 'Nothing yet. It fills up as you talk.',
};

export function createMemoryPanel(store, chat, memories, { close, show }) {
  const { state } = store;
  const cards = new Map(); // memory id -> card
  let timer = 0;
  let form = null;

  const pause = h('button', { type: 'button', class: 'switch', role: 'switch', 'aria-labelledby': 'remembering-label', 'aria-describedby': 'remembering-text', testid: 'memory-pause', onclick: togglePause }, h('span', { class: 'switch-knob' }));
  const pauseText = h('p', { id: 'remembering-text', class: 'memory-hint' });
  const modes = MODES.map((mode) => h('input', { type: 'radio', name: 'memory-mode', value: mode.value, class: 'visually-hidden', testid: `memory-${mode.value}`, onchange: () => setMode(mode.value) }));
  const modeText = h('p', { class: 'memory-hint', id: 'mode-text' });
  const health = h('p', { class: 'memory-health', testid: 'memory-health' });
  const field = h('input', { type: 'search', 'aria-label': 'Search what she remembers', placeholder: 'Search what she remembers', autocomplete: 'off', spellcheck: 'false', testid: 'memory-search', oninput: later, onkeydown: onFieldKey });
  const kinds = KINDS.map(([kind, label]) => h('button', { type: 'button', class: 'kind', 'aria-pressed': 'false', 'data-kind': kind, testid: `memory-kind-${kind || 'all'}`, onclick: () => memories.search({ kind }) }, label));
  const addButton = h('button', { type: 'button', class: 'quiet small', testid: 'memory-add', onclick: startAdd }, icon('plus'), 'Add a fact');
  const addSlot = h('div', { class: 'memory-add' }, addButton);
  const count = h('p', { class: 'memory-count', role: 'status', testid: 'memory-count' });
  const list = h('ul', { class: 'memory-list', testid: 'memory-list', 'aria-label': 'What she remembers' });
  const nothing = h('p', { class: 'memory-nothing', testid: 'memory-empty', hidden: true });
  const more = h('button', { type: 'button', class: 'quiet small', hidden: true, testid: 'memory-more', onclick: () => memories.loadMore() }, 'Show more');
  const el = h('aside', { class: 'panel memory-panel', role: 'dialog', 'aria-labelledby': 'memory-title', testid: 'memory-panel' },
    h('div', { class: 'panel-top' }, h('h2', { id: 'memory-title' }, 'What she remembers'), iconButton('close', 'Close', { testid: 'memory-close', onclick: close })),
    h('div', { class: 'memory-now' },
      h('div', { class: 'switch-row' }, h('span', { id: 'remembering-label' }, 'Remembering'), pause),
      pauseText,
      h('fieldset', { class: 'segments', 'aria-describedby': 'mode-text' }, h('legend', {}, 'In this conversation'),
        h('div', { class: 'segment-row' }, modes.map((input, at) => h('label', {}, input, h('span', {}, MODES[at].label))))),
      modeText,
      health),
    field,
    h('div', { class: 'kinds', role: 'group', 'aria-label': 'Kind' }, kinds),
    addSlot, count, list, nothing, more);

  // --- pause and off the record ----------------------------------------------------------------------

  async function attempt(action) {
    try {
      await action();
    } catch (problem) {
      say(inWords(problem));
    }
    drawNow();
  }

  function togglePause() {
    return attempt(() => memories.pause(!state.memory?.paused));
  }

  function setMode(memory) {
    return attempt(() => chat.updateSession(state.sessionId, { memory }));
  }

  function drawNow() {
    const { memory, session } = state;
    pause.setAttribute('aria-checked', String(!memory?.paused));
    pause.disabled = !memory;
    setText(pauseText, memory?.paused ? 'Paused: she still uses what she knows, but nothing that is said is kept.' : 'On: she keeps what matters of what is said.');
    const mode = MODES.find((m) => m.value === session?.memory) || MODES[0];
    for (const input of modes) {
      input.checked = input.value === mode.value;
      input.disabled = !session;
    }
    setText(modeText, mode.text);
    setText(health, memory ? healthText(memory) : 'How her memory is cannot be read at the moment.');
    health.dataset.status = memory ? worst(memory) : 'unavailable';
  }

  const worst = ({ index, embeddings }) => [index?.status, embeddings?.status].find((status) => status && status !== 'ok') || 'ok';

  function healthText({ counts = {}, index = {}, embeddings = {} }) {
    const parts = [[plural(counts.facts || 0, 'fact'), plural(counts.messages || 0, 'message'), ...(counts.summaries ? [plural(counts.summaries, 'summary', 'summaries')] : [])].join(', ')];
    if (counts.pinned) parts.push(`${counts.pinned} always in mind`);
    if (index.pending > 0) parts.push(`${plural(index.pending, 'memory', 'memories')} still being filed`);
    if (index.rebuilding) parts.push('A new index is being filled; the old one answers meanwhile');
    for (const [name, part] of [['The index', index], ['Finding by meaning', embeddings]]) {
      if (part.status === 'degraded') parts.push(`${name} works with less: ${part.detail || 'no reason given'}`);
      if (part.status === 'unavailable') parts.push(`${name} is not available: ${part.detail || 'no reason given'}`);
    }
    return `${parts.join('. ')}.`.replace(/\.\.$/, '.');
  }

  // --- the list ----------------------------------------------------------------------------------------

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => memories.search({ q: field.value.trim() }), DELAY_MS);
  }

  function onFieldKey(event) {
    if (event.key !== 'Escape' || field.value === '') return;
    event.preventDefault();
    field.value = '';
    later();
  }

  function drawList() {
    const shown = state.memories;
    for (const button of kinds) button.setAttribute('aria-pressed', String(button.dataset.kind === shown.kind));
    const wanted = groups(shown.list);
    const keep = new Set(wanted.map((group) => group.memory.id));
    // A card that is being written in stays until that is done, whatever the list says.
    for (const [id, card] of cards) if (!keep.has(id) && !(card.editing && !state.forgotten.has(id))) dropCard(id, card);
    for (const { memory, was } of wanted) cardFor(memory).update(memory, { older: was });
    arrange(list, wanted.map(({ memory }) => cardFor(memory).el));
    drawEdges(shown, wanted.length);
  }

  function cardFor(memory) {
    if (!cards.has(memory.id)) cards.set(memory.id, createCard(memories, { show, onGone: tellGone }));
    return cards.get(memory.id);
  }

  // The way to the message goes with the card.
  function tellGone({ memory: { kind, message_id: messageId, session_id: sessionId } }) {
    if (kind !== 'fact' || !messageId || state.forgotten.has(messageId)) say('Forgotten.');
    else say('Forgotten. The message it was learnt from stays.', { label: 'Show it', run: () => show({ messageId, sessionId }) });
  }

  // Whoever stood on it goes on with its neighbour.
  function dropCard(id, card) {
    const held = card.el.contains(document.activeElement);
    const next = card.el.nextElementSibling || card.el.previousElementSibling;
    card.el.remove();
    cards.delete(id);
    if (held) (next?.querySelector('button') || field).focus();
  }

  function drawEdges(shown, length) {
    more.hidden = !shown.cursor;
    nothing.hidden = length > 0 || (!shown.loaded && !shown.problem);
    if (shown.problem) setText(nothing, shown.problem.detail || shown.problem.title);
    else setText(nothing, shown.q ? `Nothing she remembers matches “${shown.q}”.` : `${state.memory?.paused ? 'Memory is paused. ' : ''}${NOTHING[shown.kind]}`);
    const found = shown.cursor ? `the first ${length}` : length;
    setText(count, shown.loaded && shown.q && length > 0 ? `Found ${found}` : '');
  }

  // --- a fact added by hand ----------------------------------------------------------------------------

  function startAdd() {
    form = factForm({
      action: 'She should know this',
      pinnable: true,
      async save(fact) {
        await memories.add(fact);
        stopAdd();
        say('She knows it now.');
      },
      cancel: stopAdd,
    });
    addSlot.replaceChildren(form.el);
    form.focus();
  }

  function stopAdd() {
    form = null;
    addSlot.replaceChildren(addButton);
    addButton.focus();
  }

  // --- opening ---------------------------------------------------------------------------------------

  function opened() {
    if (state.panel !== 'memory') return;
    state.unseenFacts = 0;
    memories.readStatus();
    memories.search();
  }

  store.on(['memory', 'session'], drawNow);
  store.on(['memories', 'memory'], drawList);
  store.on(['panel'], opened);
  drawNow();
  return el;
}
