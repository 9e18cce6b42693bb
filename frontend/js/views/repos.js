// The repository panel: what is attached to the conversation's project, something new to attach, and the
// one that is looked at (repo.js).

import { h, icon, iconButton, setText } from '../dom.js';
import { gitApi } from '../work-api.js';
import { upsert } from '../paging.js';
import { REPO_STATES, openProposals, progressOf, repoName } from '../work-state.js';
import { choice, createForm, labelled, noteLine } from './form.js';
import { createList } from './pages.js';
import { createRepo } from './repo.js';
import { say } from './notices.js';

const AUTHS = [['none', 'None: it is public, or my ssh agent knows'], ['token', 'A token'], ['password', 'User name and password'], ['ssh_key', 'An ssh key']];

// How she gets into a repository, as fields of a form. Secrets leave it only with the request.
export function loginFields() {
  const kind = choice(AUTHS, 'none', { testid: 'attach-auth', onchange: drawKind });
  const user = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', testid: 'attach-user' });
  const token = h('input', { type: 'password', autocomplete: 'off', testid: 'attach-token' });
  const password = h('input', { type: 'password', autocomplete: 'off', testid: 'attach-password' });
  const key = h('textarea', { rows: '4', class: 'code-field', spellcheck: 'false', autocomplete: 'off', testid: 'attach-key', placeholder: '-----BEGIN OPENSSH PRIVATE KEY-----' });
  const phrase = h('input', { type: 'password', autocomplete: 'off', testid: 'attach-passphrase' });
  const parts = {
    user: labelled('User name', user),
    token: labelled('Token', token),
    password: labelled('Password', password),
    key: labelled('Private key', key),
    phrase: labelled('Passphrase, if it has one', phrase),
  };
  const wanted = { none: [], token: ['user', 'token'], password: ['user', 'password'], ssh_key: ['key', 'phrase'] };

  function drawKind() {
    for (const [name, part] of Object.entries(parts)) part.hidden = !wanted[kind.value].includes(name);
  }

  const auth = () => ({
    none: () => ({ type: 'none' }),
    token: () => ({ type: 'token', token: token.value, ...(user.value.trim() ? { username: user.value.trim() } : {}) }),
    password: () => ({ type: 'password', username: user.value.trim(), password: password.value }),
    ssh_key: () => ({ type: 'ssh_key', private_key: key.value, ...(phrase.value ? { passphrase: phrase.value } : {}) }),
  })[kind.value]();

  drawKind();
  return { fields: [labelled('Login', kind, 'Kept on the machine she runs on, never shown again.'), ...Object.values(parts)], auth };
}

// save(values) may reject with a Problem.
function attachForm({ save, cancel }) {
  const url = h('input', { type: 'text', inputmode: 'url', required: true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', testid: 'attach-url', placeholder: 'https://example.org/me/garden.git' });
  const branch = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', testid: 'attach-branch', placeholder: 'its usual one' });
  const login = loginFields();
  return createForm({
    testid: 'attach-form',
    label: 'Attach a repository',
    fields: [labelled('Address', url, 'https:// or ssh://, or git@host:path.'), labelled('Branch', branch), ...login.fields],
    action: 'Attach',
    async save() {
      await save({ repo_url: url.value.trim(), ...(branch.value.trim() ? { branch: branch.value.trim() } : {}), auth: login.auth() });
    },
    cancel,
  });
}

export function createReposPanel(store, chat, work, { close, open, show, ask }) {
  const { state } = store;
  const title = h('h2', { id: 'repos-title' }, 'Repositories');
  const back = iconButton('prev', 'All repositories', { testid: 'repo-back', hidden: true, onclick: toList });
  const lead = h('p', { class: 'work-lead', testid: 'repos-lead' });
  const choose = h('button', { type: 'button', class: 'quiet small', testid: 'repos-choose', onclick: () => open('projects') }, icon('folder'), 'Choose a project');
  const addButton = h('button', { type: 'button', class: 'quiet small', testid: 'repo-attach', onclick: startAttach }, icon('plus'), 'Attach a repository');
  const addSlot = h('div', { class: 'work-slot' }, addButton);
  const list = createList({
    testid: 'repo-list',
    label: 'Repositories',
    page: () => state.repos,
    row: () => repoRow(),
    nothing: () => 'Nothing attached yet. Attach one, and she can read it with you and propose changes.',
    more: work.readRepos,
    again: work.readRepos,
  });
  const listView = h('div', {}, lead, choose, addSlot, list.el);
  const one = createRepo(store, work, { show, ask, toList });
  const el = h('aside', { class: 'panel work-panel', role: 'dialog', 'aria-labelledby': 'repos-title', testid: 'repos-panel' },
    h('div', { class: 'panel-top' }, back, title, h('span', { class: 'spacer' }), iconButton('close', 'Close', { testid: 'repos-close', onclick: close })),
    listView, one.el);

  function repoRow() {
    const name = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const waiting = h('span', { class: 'tag', hidden: true });
    const button = h('button', { type: 'button', class: 'work-open', testid: 'repo', onclick: () => openRepo(row.dataset.repoId) },
      h('span', { class: 'work-sign' }, icon('branch')), h('span', { class: 'work-two' }, name, meta), waiting);
    const bar = progressBar();
    const note = noteLine();
    const row = h('li', { class: 'work-item flat' }, button, bar.el, note);
    return {
      el: row,
      update(repo) {
        row.dataset.repoId = repo.id;
        row.dataset.status = repo.status;
        setText(name, repoName(repo));
        setText(meta, [repo.repo_url, repo.branch, REPO_STATES[repo.status] || repo.status].filter(Boolean).join(' · '));
        const count = openProposals(state, repo.id).length;
        waiting.hidden = count === 0;
        setText(waiting, count === 1 ? '1 proposal' : `${count} proposals`);
        bar.update(repo);
        setText(note, repo.error || '');
      },
    };
  }

  function startAttach() {
    const projectId = state.project?.id;
    const form = attachForm({
      async save(values) {
        const repo = await gitApi.attach(projectId, values);
        if (state.repos.projectId === projectId) upsert(state.repos, repo);
        stopAttach();
        store.touch('repos');
        openRepo(repo.id);
      },
      cancel: stopAttach,
    });
    addSlot.replaceChildren(form.el);
    form.focus();
  }

  function stopAttach() {
    addSlot.replaceChildren(addButton);
    addButton.focus();
  }

  function openRepo(id) {
    state.repoId = id;
    draw();
    one.focus();
  }

  function toList() {
    const id = state.repoId;
    state.repoId = null;
    draw();
    (id && list.rowOf(id)?.el.querySelector('button') || addButton).focus();
  }

  function draw() {
    if (state.panel !== 'repos') return;
    const { project } = state;
    const repo = state.repos.list.find((r) => r.id === state.repoId) || null;
    if (state.repoId && !repo && state.repos.loaded && !state.repos.loading) state.repoId = null;
    back.hidden = !repo;
    listView.hidden = Boolean(repo);
    one.update(repo);
    if (repo) return;
    setText(lead, project ? (project.name ? `Of the project ${project.name}.` : '') : 'This conversation belongs to no project, and repositories are attached to one.');
    lead.hidden = !lead.textContent;
    choose.hidden = Boolean(project);
    addSlot.hidden = !project;
    list.el.hidden = !project;
    list.draw();
  }

  async function opened() {
    if (state.panel !== 'repos') return;
    draw();
    if (!state.project) return;
    await Promise.all([work.readRepos(), work.readProposals()]);
  }

  store.on(['repos', 'proposals', 'project'], draw);
  store.on(['panel'], opened);
  // Brings a repository on screen and hands its view on; without an id the one that has something to decide.
  async function reach(repoId, then) {
    const id = repoId || openProposals(state)[0]?.attachment_id || state.repos.list[0]?.id;
    if (!id) return;
    if (!state.repos.list.some((repo) => repo.id === id)) await work.readRepos();
    state.repoId = id;
    draw();
    if (state.repoId === id) then(one);
    else say('That repository is not attached to this conversation\'s project.');
  }

  return {
    el,
    showProposals: (repoId) => reach(repoId, (view) => view.showTab('proposals')),
    showFile: (repoId, path, line) => reach(repoId, (view) => view.at.openFile(path, { line })),
    showCommit: (repoId, sha) => reach(repoId, (view) => view.at.openCommit(sha)),
  };
}

// How far a clone or a sync is: a bar, and words for what it cannot say.
export function progressBar() {
  const bar = h('progress', { max: '100', testid: 'repo-progress' });
  const words = h('p', { class: 'work-hint', testid: 'repo-progress-words' });
  const el = h('div', { class: 'work-progress', hidden: true }, bar, words);
  return {
    el,
    update(repo) {
      const busy = repo.status === 'cloning' || repo.status === 'syncing';
      el.hidden = !busy;
      if (!busy) return;
      const { percent, words: text } = progressOf(repo);
      if (percent === null) bar.removeAttribute('value');
      else bar.value = percent;
      bar.setAttribute('aria-label', `${repoName(repo)}: ${text}`);
      setText(words, percent === null ? text : `${text}, ${percent} %`);
    },
  };
}

