// Full-text search over everything ever said, and over what conversations are called. A result opens its session at
// that message.

import { api } from '../api.js';
import { h, icon, setText, shortTime } from '../dom.js';
import { plainText } from '../plain.js';

const DELAY_MS = 180;
const MOST_TITLES = 5;
const MARK_START = '\uE000';
const MARK_END = '\uE001';

// A snippet is plain text with its matches between two private-use characters.
export function snippetNodes(snippet) {
  const nodes = [];
  for (const [index, part] of snippet.split(MARK_START).entries()) {
    if (index === 0) {
      nodes.push(part);
      continue;
    }
    const end = part.indexOf(MARK_END);
    if (end < 0) nodes.push(part);
    else nodes.push(h('mark', {}, part.slice(0, end)), part.slice(end + 1));
  }
  return nodes.map((node) => (typeof node === 'string' ? node.replaceAll(MARK_END, '') : node)).filter((node) => node !== '');
}

export function createSearch(store, chat, { go }) {
  const { state } = store;
  let timer = 0;
  let asked = null;
  const field = h('input', {
    type: 'search', class: 'search-field', placeholder: 'What was said…', 'aria-label': 'Search all conversations',
    autocomplete: 'off', spellcheck: 'false', testid: 'search-field', oninput: later,
  });
  const list = h('ul', { class: 'results' });
  const note = h('p', { class: 'search-note', role: 'status' });
  const dialog = h('dialog', { class: 'search', 'aria-label': 'Search' },
    h('div', { class: 'search-top' }, icon('search'), field, h('button', { type: 'button', class: 'quiet small', onclick: () => dialog.close() }, 'Close')),
    note, list);

  function later() {
    clearTimeout(timer);
    timer = setTimeout(run, DELAY_MS);
  }

  async function run() {
    asked?.abort();
    const q = field.value.trim();
    if (!q) {
      list.replaceChildren();
      setText(note, '');
      return;
    }
    asked = new AbortController();
    try {
      const { results } = await api.search(q, asked.signal);
      const called = byTitle(q);
      list.replaceChildren(...called.map(titleRow), ...results.map(row));
      setText(note, results.length + called.length === 0 ? 'Nothing found.' : '');
    } catch (problem) {
      if (problem.name !== 'AbortError') setText(note, problem.detail || problem.title);
    }
  }

  // A name its owner gave is said in no message.
  function byTitle(q) {
    const parts = q.toLocaleLowerCase().split(/\s+/);
    return state.sessions.filter(({ title }) => parts.every((part) => title?.toLocaleLowerCase().includes(part))).slice(0, MOST_TITLES);
  }

  function titleRow(session) {
    return h('li', {}, h('button', { type: 'button', class: 'result', testid: 'search-session', onclick: () => openSession(session) },
      h('span', { class: 'result-top' }, h('span', { class: 'result-who' }, 'Conversation'), h('time', { datetime: session.updated_at }, shortTime(session.updated_at))),
      h('span', { class: 'result-text' }, session.title)));
  }

  function openSession(session) {
    dialog.close();
    go(session.id);
  }

  function row(result) {
    const { message } = result;
    return h('li', {}, h('button', { type: 'button', class: 'result', testid: 'search-result', onclick: () => openResult(result) },
      h('span', { class: 'result-top' },
        h('span', { class: 'result-who' }, message.role === 'user' ? 'You' : 'Mira'),
        h('span', {}, result.session_title || (result.session_id === state.defaultId ? 'The long conversation' : 'Untitled')),
        h('time', { datetime: message.created_at }, shortTime(message.created_at))),
      h('span', { class: 'result-text' }, snippetNodes(plainText(result.snippet)))));
  }

  async function openResult(result) {
    dialog.close();
    await go(result.session_id);
    await chat.reach(result.message.id);
  }

  dialog.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const stops = [field, ...list.querySelectorAll('button')];
      stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + step))].focus();
    } else if (event.key === 'Enter' && document.activeElement === field) {
      // Or the key would go on to whatever had the focus before the search.
      event.preventDefault();
      list.querySelector('button')?.click();
    } else if (event.key === 'Escape') {
      // A search field would only empty itself, and the dialog would stay.
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });

  // What is shown may be forgotten by now.
  store.on(['forgotten'], () => dialog.open && run());
  return {
    el: dialog,
    open() {
      if (dialog.open) return;
      dialog.showModal();
      field.focus();
      field.select();
      // What was found before may be forgotten by now.
      run();
    },
  };
}
