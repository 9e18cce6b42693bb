// One memory: its words, where they came from, and what the owner can do about it right there: correct,
// pin, forget. The memory panel and the receipt both show it.

import { shortDay, h, icon, iconButton, setText } from '../dom.js';
import { aboutOf, isTrusted, nameOf } from '../memory-state.js';
import { memoryText } from '../plain.js';
import { confirmed } from './confirm.js';

const FORGET = {
  message: 'It will be removed from the conversation, the search, the index and Mira\'s own backups, and so will what she learnt from it. This cannot be undone. A reply that repeats it is another message: you can forget that one too.',
  fact: 'It will be removed from what she knows, the search, the index and Mira\'s own backups. This cannot be undone.',
  summary: 'It will be removed from what she knows, the search, the index and Mira\'s own backups. This cannot be undone.',
};
const STAYS = ' The message she learnt it from stays where it was said, and may come up again.';
const ALSO = 'Forget that message too';

export const inWords = (problem) => problem.errors?.map((e) => e.message).join('. ') || problem.detail || problem.title;

// Forgets a memory if the owner confirms; answers whether it is forgotten.
// begun(): it will take a moment, until the last copy is clean.
export async function askToForget(memories, { id, kind, text, message_id: from }, begun) {
  const learnt = kind === 'fact' && Boolean(from);
  const yes = await confirmed({ title: 'Forget this?', quote: memoryText({ kind, text }), text: FORGET[kind] + (learnt ? STAYS : ''), action: 'Forget it', also: learnt ? ALSO : null });
  if (!yes) return false;
  begun();
  await memories.forget(id);
  if (yes === 'also') await memories.forget(from).catch(unlessGone);
  return true;
}

// The message may have been forgotten before.
function unlessGone(problem) {
  if (problem.status !== 404) throw problem;
}

let nextId = 0;

// The fields of a fact, to be written or corrected. save(values) may reject with a Problem.
export function factForm({ fact = null, lead = null, action, pinnable = false, save, cancel }) {
  nextId += 1;
  const id = (name) => `fact-${nextId}-${name}`;
  const text = h('textarea', { id: id('text'), rows: '2', maxlength: '400', required: true, testid: 'fact-text', value: fact?.text || '', placeholder: 'One sentence that is true by itself' });
  const about = h('input', { id: id('about'), type: 'text', maxlength: '48', autocomplete: 'off', testid: 'fact-about', value: fact ? nameOf(fact.about) : 'you' });
  const topic = h('input', { id: id('topic'), type: 'text', maxlength: '48', autocomplete: 'off', testid: 'fact-topic', value: fact?.topic || '', placeholder: 'job, home town…' });
  const pinned = h('input', { id: id('pinned'), type: 'checkbox' });
  const problem = h('p', { class: 'form-problem', role: 'alert' });
  const submit = h('button', { type: 'submit', class: 'primary small', testid: 'fact-save' }, action);

  async function finish(event) {
    event.preventDefault();
    const words = text.value.trim();
    if (!words || submit.disabled) return;
    submit.disabled = true;
    setText(problem, '');
    try {
      await save({ text: words, about: aboutOf(about.value), topic: topic.value.trim() || null, ...(pinnable ? { pinned: pinned.checked } : {}) });
    } catch (error) {
      setText(problem, inWords(error));
      submit.disabled = false;
    }
  }

  const el = h('form', { class: 'fact-form', onsubmit: finish },
    lead ? h('p', { class: 'fact-lead' }, lead) : null,
    h('label', { for: id('text') }, fact ? 'What is true' : 'What should she know?'), text,
    h('div', { class: 'fact-fields' },
      h('div', {}, h('label', { for: id('about') }, 'About'), about),
      h('div', {}, h('label', { for: id('topic') }, 'Topic'), topic)),
    pinnable ? h('label', { class: 'fact-pin', for: id('pinned') }, pinned, 'Always keep it in mind') : null,
    problem,
    h('div', { class: 'editor-row' }, h('button', { type: 'button', class: 'quiet small', testid: 'fact-cancel', onclick: cancel }, 'Cancel'), submit));
  el.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      cancel();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target === text) {
      event.preventDefault();
      el.requestSubmit();
    }
  });
  return {
    el,
    focus() {
      text.focus();
      text.setSelectionRange(text.value.length, text.value.length);
    },
  };
}

// show(memory): brings the message it came from on screen. onGone(card): it was forgotten here.
export function createCard(memories, { show, onGone }) {
  const text = h('p', { class: 'memory-text' });
  const meta = h('p', { class: 'memory-meta' });
  const why = h('p', { class: 'memory-why', hidden: true });
  const unsure = h('p', { class: 'memory-unsure', testid: 'untrusted', hidden: true }, icon('unsure'), 'Not verified: it came from a tool or a web page.');
  const outdated = h('p', { class: 'memory-outdated', hidden: true }, 'No longer true.');
  const was = h('div', { class: 'memory-was' });
  const note = h('p', { class: 'memory-note', role: 'status' });
  const body = h('div', { class: 'memory-body' }, text, meta, why, unsure, outdated, was);
  const correct = iconButton('edit', 'Correct', { testid: 'memory-correct', onclick: startEdit });
  const pin = iconButton('pin', 'Keep it always in mind', { testid: 'memory-pin', 'aria-pressed': 'false', onclick: togglePin });
  const forget = iconButton('trash', 'Forget', { testid: 'memory-forget', onclick: () => forgetIt(shown) });
  const actions = h('div', { class: 'memory-actions' }, correct, pin, forget);
  const el = h('li', { class: 'memory', testid: 'memory' }, body, actions, note);
  let shown = null;
  let editor = null;
  let drawnWas = '';
  let lastOlder = [];

  // older: what it replaced. reason: why it stands here. What is not given stays.
  function update(memory, { older = lastOlder, reason } = {}) {
    const before = shown;
    lastOlder = older;
    shown = memory;
    if (before !== memory) {
      el.dataset.memoryId = memory.id;
      el.dataset.kind = memory.kind;
      el.classList.toggle('pinned', Boolean(memory.pinned));
      setText(text, memoryText(memory));
      if (!sameOrigin(before, memory)) meta.replaceChildren(...origin(memory));
      unsure.hidden = isTrusted(memory);
      outdated.hidden = !memory.superseded_by;
      pin.setAttribute('aria-pressed', String(Boolean(memory.pinned)));
      pin.hidden = memory.kind === 'summary';
      correct.hidden = memory.kind === 'summary';
      const words = memoryText(memory) || 'this';
      for (const [button, label] of [[correct, 'Correct'], [forget, 'Forget'], [pin, memory.pinned ? 'No longer keep always in mind' : 'Keep always in mind']]) {
        button.title = label;
        button.setAttribute('aria-label', `${label}: ${words}`);
      }
    }
    if (reason !== undefined) {
      why.hidden = !reason;
      setText(why, reason || '');
    }
    drawWas(older);
  }

  const sameOrigin = (a, b) => a && ['about', 'topic', 'date', 'valid_from', 'message_id', 'session_id', 'kind', 'role', 'source', 'pinned'].every((name) => a[name] === b[name]);

  function origin(memory) {
    const said = { user: 'you said', assistant: 'Mira said' }[memory.role];
    const parts = {
      fact: [memory.about ? `about ${nameOf(memory.about)}` : null, memory.topic],
      message: [said || 'from a conversation'],
      summary: ['a summary of what was said'],
    }[memory.kind] || [];
    const out = [
      memory.pinned ? h('span', { class: 'memory-pinned' }, icon('pin'), 'always in mind') : null,
      ...parts.filter(Boolean).map((part) => h('span', {}, part)),
      h('time', { datetime: memory.date }, shortDay(memory.date)),
      memory.valid_from && shortDay(memory.valid_from) !== shortDay(memory.date) ? h('span', {}, `true since ${shortDay(memory.valid_from)}`) : null,
      source(memory),
    ];
    return out.filter(Boolean);
  }

  function source(memory) {
    const target = memory.message_id || (memory.kind === 'message' ? memory.id : null);
    if (target) {
      return h('button', {
        type: 'button', class: 'text-button', testid: 'memory-source',
        onclick: () => show({ messageId: target, sessionId: memory.session_id || null }),
      }, memory.kind === 'fact' ? 'where she learnt it' : 'show it');
    }
    return memory.source === 'owner' ? h('span', {}, 'you wrote it down') : null;
  }

  function drawWas(older) {
    const key = older.map((m) => `${m.id} ${m.text}`).join();
    if (key === drawnWas) return;
    drawnWas = key;
    const open = was.querySelector('details')?.open;
    was.replaceChildren(...(older.length === 0 ? [] : [h('details', { open: Boolean(open), testid: 'memory-was' },
      h('summary', {}, 'was: ', h('span', {}, older[0].text)),
      h('ul', {}, older.map((old) => h('li', {},
        h('span', {}, old.text, ' ', h('time', { datetime: old.date }, shortDay(old.date))),
        iconButton('trash', 'Forget', { 'aria-label': `Forget: ${old.text}`, onclick: () => forgetIt(old) })))))]));
  }

  function startEdit() {
    if (editor) return;
    const isFact = shown.kind === 'fact';
    editor = factForm({
      fact: isFact ? shown : null,
      lead: isFact ? null : 'What was said stays as it was said. Write down what is true instead, and she will know it.',
      action: isFact ? 'Correct it' : 'She should know this',
      async save(values) {
        if (isFact) update({ ...shown, ...(await memories.change(shown.id, values)) });
        else await memories.add(values);
        stopEdit();
        setText(note, isFact ? 'Corrected.' : 'She knows it now.');
      },
      cancel: stopEdit,
    });
    setText(note, '');
    body.hidden = isFact;
    actions.hidden = true;
    body.after(editor.el);
    editor.focus();
  }

  function stopEdit() {
    editor?.el.remove();
    editor = null;
    body.hidden = false;
    actions.hidden = false;
    correct.focus();
  }

  async function togglePin() {
    try {
      const pinned = !shown.pinned;
      const changed = await memories.change(shown.id, { pinned });
      update({ ...shown, ...changed });
      setText(note, pinned ? 'She will always have this in mind.' : 'It comes up when it fits again.');
    } catch (problem) {
      setText(note, inWords(problem));
    }
  }

  async function forgetIt(memory) {
    try {
      if (!(await askToForget(memories, memory, () => setText(note, 'Forgetting…')))) return;
      if (memory.id === shown.id) onGone(card);
      else update(shown, { older: lastOlder.filter((m) => m.id !== memory.id) });
    } catch (problem) {
      setText(note, inWords(problem));
    }
  }

  // Its place stays, its words do not.
  function empty() {
    editor?.el.remove();
    editor = null;
    el.classList.add('gone');
    delete el.dataset.kind;
    el.replaceChildren(h('p', { class: 'memory-note', role: 'status', tabindex: '-1' }, 'Forgotten.'));
  }

  const card = {
    el,
    update,
    empty,
    get memory() {
      return shown;
    },
    get editing() {
      return editor !== null;
    },
  };
  return card;
}
