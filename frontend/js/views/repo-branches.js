// The branches of a repository: which one is checked out, the others, and a new one. Switching never
// loses what is not committed: the server refuses instead, and says which files stand in the way.

import { h, icon, setText } from '../dom.js';
import { gitApi } from '../work-api.js';
import { attempt, createForm, inWords, labelled, noteLine } from './form.js';

const BRANCHES_AT_ONCE = 200;

export function createBranches(at) {
  let stale = true;
  let reading = 0;
  const note = noteLine('branches-problem');
  const create = h('button', { type: 'button', class: 'quiet small', testid: 'branch-new', onclick: startCreate }, icon('plus'), 'New branch');
  const slot = h('div', { class: 'work-slot' });
  const list = h('ul', { class: 'work-list', testid: 'branch-list', 'aria-label': 'Branches' });
  const more = h('button', { type: 'button', class: 'quiet small', hidden: true }, 'Show more');
  const el = h('div', { class: 'work-tab' }, h('div', { class: 'work-row' }, create), slot, note, list, more);

  const isRemote = (branch) => branch.kind === 'remote';

  function stateWords(branch) {
    const parts = [isRemote(branch) ? 'on the remote' : branch.upstream ? `follows ${branch.upstream}` : 'only here'];
    if (branch.ahead > 0) parts.push(`${branch.ahead} not pushed`);
    if (branch.behind > 0) parts.push(`${branch.behind} behind`);
    return parts.join(' · ');
  }

  function row(branch) {
    const go = h('button', { type: 'button', class: 'quiet small', testid: 'branch-switch', 'aria-label': `Switch to ${branch.name}`, onclick: () => attempt(go, note, () => switchTo(branch.name)) }, 'Switch');
    return h('li', { class: `work-item flat${branch.current ? ' current' : ''}`, testid: 'branch', 'data-branch': branch.name }, h('div', { class: 'work-row' },
      h('span', { class: 'work-two' }, h('span', { class: 'work-name' }, branch.name), h('span', { class: 'work-meta' }, stateWords(branch))),
      h('span', { class: 'spacer' }), branch.current ? h('span', { class: 'tag' }, 'checked out') : go));
  }

  async function switchTo(name) {
    await gitApi.branch(at.projectId, at.id, { branch_name: name });
    at.changed();
  }

  async function load() {
    const mine = ++reading;
    try {
      const { branches } = await gitApi.branches(at.projectId, at.id);
      if (mine !== reading) return;
      setText(note, '');
      // What is checked out first; the others as the server sorts them.
      draw(branches.toSorted((a, b) => Number(b.current) - Number(a.current)), BRANCHES_AT_ONCE);
    } catch (problem) {
      if (mine === reading) setText(note, inWords(problem));
    }
  }

  function draw(branches, count) {
    list.replaceChildren(...branches.slice(0, count).map(row));
    more.hidden = branches.length <= count;
    more.onclick = () => draw(branches, count + BRANCHES_AT_ONCE);
  }

  function startCreate() {
    const name = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', testid: 'branch-name', placeholder: 'try-something' });
    const stop = () => {
      slot.replaceChildren();
      create.focus();
    };
    const form = createForm({
      testid: 'branch-form',
      label: 'New branch',
      fields: [labelled('Name', name, 'It starts from what is checked out, and is checked out at once.')],
      action: 'Make it',
      async save() {
        await gitApi.branch(at.projectId, at.id, { branch_name: name.value.trim(), create: true });
        stop();
        at.changed();
      },
      cancel: stop,
    });
    slot.replaceChildren(form.el);
    form.focus();
  }

  return {
    el,
    opened() {
      if (!stale) return;
      stale = false;
      load();
    },
    stale() {
      stale = true;
    },
    reset() {
      stale = true;
      reading += 1;
      list.replaceChildren();
      slot.replaceChildren();
      setText(note, '');
    },
  };
}
