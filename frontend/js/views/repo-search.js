// Search in the files of a repository. A result opens its file at that line.

import { h, setText } from '../dom.js';
import { gitApi } from '../work-api.js';
import { inWords } from './form.js';

const DELAY_MS = 250;

export function createRepoSearch(at) {
  let timer = 0;
  let asked = null;
  const field = h('input', { type: 'search', 'aria-label': 'Search the files', placeholder: 'Words in the files', autocomplete: 'off', spellcheck: 'false', testid: 'repo-search', oninput: later });
  const note = h('p', { class: 'work-hint', role: 'status', testid: 'repo-search-note' });
  const list = h('ul', { class: 'work-list', testid: 'repo-search-results' });
  const el = h('div', { class: 'work-tab' }, field, note, list);

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
    const mine = new AbortController();
    asked = mine;
    setText(note, 'Searching…');
    try {
      const { results, truncated } = await gitApi.search(at.projectId, at.id, q, mine.signal);
      list.replaceChildren(...results.map(row));
      setText(note, results.length === 0 ? `Nothing in the files matches “${q}”.` : `${results.length}${truncated ? ' and more' : ''} found.`);
    } catch (problem) {
      if (problem.name !== 'AbortError') setText(note, inWords(problem));
    }
  }

  function row({ path, line, text }) {
    return h('li', { class: 'work-item flat' }, h('button', { type: 'button', class: 'work-open', testid: 'repo-search-result', onclick: () => at.openFile(path, { line }) },
      h('span', { class: 'work-two' }, h('span', { class: 'path' }, `${path}:${line}`), h('span', { class: 'found-line' }, text))));
  }

  return {
    el,
    opened() {
      if (field.value.trim()) run();
    },
    stale() {},
    reset() {
      clearTimeout(timer);
      asked?.abort();
      field.value = '';
      list.replaceChildren();
      setText(note, '');
    },
  };
}
