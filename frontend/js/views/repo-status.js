// What is not committed, and how the branch stands to the remote.

import { h, setText } from '../dom.js';
import { gitApi } from '../work-api.js';
import { plural } from '../memory-state.js';
import { inWords, noteLine } from './form.js';

const SHOWN = 500;
const CHANGES = { added: 'new', modified: 'changed', deleted: 'deleted', renamed: 'renamed', type_changed: 'another type', untracked: 'not in the repository yet' };

export function createStatus(at) {
  let reading = 0;
  const note = noteLine('status-problem');
  const lead = h('p', { class: 'work-lead', role: 'status', testid: 'status-lead' });
  const list = h('ul', { class: 'work-list', testid: 'status-list', 'aria-label': 'Not committed' });
  const el = h('div', { class: 'work-tab' }, lead, note, list);

  function words(entry) {
    if (entry.conflicted) return 'in conflict';
    return [entry.staged ? `${CHANGES[entry.staged] || entry.staged}, staged` : null, entry.unstaged ? CHANGES[entry.unstaged] || entry.unstaged : null].filter(Boolean).join('; ');
  }

  function draw(status) {
    const { entries } = status;
    const parts = [status.branch ? `On ${status.branch}` : 'On no branch'];
    if (status.ahead > 0) parts.push(`${plural(status.ahead, 'commit')} not pushed`);
    if (status.behind > 0) parts.push(`${plural(status.behind, 'commit')} behind ${status.upstream || 'the remote'}`);
    parts.push(entries.length === 0 ? 'everything is committed' : `${plural(entries.length, 'file')} not committed${status.truncated ? ', and more' : ''}`);
    if (status.unfinished) parts.push('a merge or the like is not finished');
    setText(lead, `${parts.join(', ')}.`);
    list.replaceChildren(...entries.slice(0, SHOWN).map((entry) => h('li', { class: 'work-item flat', testid: 'status-entry' }, h('div', { class: 'work-row' },
      h('button', { type: 'button', class: 'text-button path', onclick: () => at.openFile(entry.path) }, entry.old_path ? `${entry.old_path} → ${entry.path}` : entry.path),
      h('span', { class: 'spacer' }), h('span', { class: 'work-meta' }, words(entry))))));
    if (entries.length > SHOWN) list.append(h('li', { class: 'work-hint' }, `and ${(entries.length - SHOWN).toLocaleString()} more`));
  }

  async function load() {
    const mine = ++reading;
    try {
      const status = await gitApi.status(at.projectId, at.id);
      if (mine !== reading) return;
      setText(note, '');
      draw(status);
    } catch (problem) {
      if (mine === reading) setText(note, inWords(problem));
    }
  }

  return {
    el,
    // The owner may work in the folder by hand: it is read each time.
    opened() {
      load();
    },
    stale() {},
    reset() {
      reading += 1;
      list.replaceChildren();
      setText(lead, '');
      setText(note, '');
    },
  };
}
