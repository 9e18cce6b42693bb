// One repository: how it stands, syncing and leaving, and its parts as tabs: files, history, branches,
// search, what is not committed, and her proposals.

import { h, icon, setText, shortDay, clock } from '../dom.js';
import { gitApi } from '../work-api.js';
import { upsert } from '../paging.js';
import { REPO_STATES, openProposals, repoName } from '../work-state.js';
import { plural } from '../memory-state.js';
import { attempt, checkbox, choice, createForm, inWords, labelled, noteLine } from './form.js';
import { askToRemove } from './losses.js';
import { createTabs } from './tabs.js';
import { createFiles } from './repo-files.js';
import { createHistory } from './repo-history.js';
import { createBranches } from './repo-branches.js';
import { createRepoSearch } from './repo-search.js';
import { createStatus } from './repo-status.js';
import { createProposals } from './proposals.js';
import { loginFields, progressBar } from './repos.js';
import { say } from './notices.js';

const SYNCED = { up_to_date: 'Nothing new there', fast_forwarded: 'Brought up to date', merged: 'Merged what was new' };

// show(message), ask(place in a file), toList(): back to all repositories.
export function createRepo(store, work, { show, ask, toList }) {
  const { state } = store;
  let repo = null;
  let readingAhead = 0;
  // What the parts need: who they are about, and how to move between them.
  const at = {
    get projectId() {
      return repo.project_id;
    },
    get id() {
      return repo.id;
    },
    get repo() {
      return repo;
    },
    changed: () => refreshParts(),
    ahead: '', // in words; empty where all is pushed, or nothing is known
    push: (opener) => startSync(opener, true),
    openFile: (path, options) => {
      tabs.show('files');
      files.open(path, options);
    },
    openHistory: (path) => {
      history.setPath(path);
      tabs.show('history');
    },
    openCommit: (sha) => {
      tabs.show('history');
      history.openCommit(sha);
    },
    ask: (place) => ask({ attachment_id: repo.id, ...place }),
    show,
  };
  const files = createFiles(at);
  const history = createHistory(at);
  const branches = createBranches(at);
  const search = createRepoSearch(at);
  const status = createStatus(at);
  const proposals = createProposals(store, at);
  const parts = { files, history, branches, search, status, proposals };

  const name = h('h3', { class: 'work-title', testid: 'repo-name', tabindex: '-1' });
  const meta = h('p', { class: 'work-meta', testid: 'repo-meta' });
  const bar = progressBar();
  const error = h('p', { class: 'form-problem', role: 'alert', testid: 'repo-error' });
  const note = noteLine('repo-problem');
  const news = h('p', { class: 'work-news', role: 'status', testid: 'repo-news' });
  const sync = h('button', { type: 'button', class: 'quiet small', testid: 'repo-sync', onclick: () => startSync(sync) }, icon('sync'), 'Sync');
  const cancel = h('button', { type: 'button', class: 'quiet small', testid: 'repo-cancel', onclick: () => attempt(cancel, note, () => gitApi.cancel(repo.project_id, repo.id)) }, 'Cancel');
  const login = h('button', { type: 'button', class: 'quiet small', testid: 'repo-login', onclick: startLogin }, 'Login');
  const detach = h('button', { type: 'button', class: 'quiet small', testid: 'repo-detach', onclick: () => attempt(detach, note, askToDetach) }, 'Detach');
  const writes = choice([['propose', 'wait for me as proposals'], ['direct', 'are committed at once']], 'propose', { testid: 'repo-writes', onchange: setWrites });
  const aheadWords = h('span', { role: 'status' });
  const push = h('button', { type: 'button', class: 'text-button', testid: 'repo-push', onclick: () => startSync(push, true) }, 'Push…');
  const ahead = h('p', { class: 'work-meta work-ahead', testid: 'repo-ahead', hidden: true }, aheadWords, ' ', push);
  const slot = h('div', { class: 'work-slot' });
  const tabs = createTabs({
    label: 'Parts of the repository',
    tabs: [
      { name: 'files', label: 'Files', panel: files.el, testid: 'repo-tab-files' },
      { name: 'proposals', label: 'Proposals', panel: proposals.el, testid: 'repo-tab-proposals' },
      { name: 'history', label: 'History', panel: history.el, testid: 'repo-tab-history' },
      { name: 'branches', label: 'Branches', panel: branches.el, testid: 'repo-tab-branches' },
      { name: 'search', label: 'Search', panel: search.el, testid: 'repo-tab-search' },
      { name: 'status', label: 'Status', panel: status.el, testid: 'repo-tab-status' },
    ],
    chosen: (part) => repo && usable() && parts[part].opened(),
  });
  const whole = h('div', {}, tabs.el, ...Object.values(parts).map((part) => part.el));
  const writesRow = labelled('Her changes', writes);
  writesRow.classList.add('inline');
  const el = h('div', { class: 'work-one', testid: 'repo-view', hidden: true }, name, meta, ahead, bar.el, error,
    h('div', { class: 'work-row' }, sync, cancel, h('span', { class: 'spacer' }), login, detach), note, news, slot, writesRow, whole);

  const usable = () => repo.status === 'ready' || repo.status === 'syncing';

  function update(next) {
    const before = repo;
    el.hidden = !next;
    if (!next) {
      repo = null;
      return;
    }
    repo = next;
    const other = before?.id !== repo.id;
    if (other) enter();
    setText(name, repoName(repo));
    setText(meta, [repo.repo_url, repo.branch, REPO_STATES[repo.status] || repo.status, repo.last_sync_at ? `in step ${shortDay(repo.last_sync_at)} ${clock(repo.last_sync_at)}` : null].filter(Boolean).join(' · '));
    el.dataset.status = repo.status;
    bar.update(repo);
    setText(error, repo.error || '');
    whole.hidden = !usable();
    writesRow.hidden = !usable();
    sync.hidden = repo.status !== 'ready';
    push.hidden = sync.hidden;
    login.hidden = repo.status !== 'ready';
    cancel.hidden = repo.status !== 'cloning' && repo.status !== 'syncing';
    detach.hidden = repo.status === 'syncing';
    writes.value = repo.writes || 'propose';
    drawCount();
    const became = before && !other && before.status !== 'ready' && repo.status === 'ready';
    if (usable() && (other || became || before.branch !== repo.branch)) refreshParts();
    else if (repo.status === 'ready' && before !== repo) readAhead();
    proposals.draw();
  }

  function enter() {
    setText(note, '');
    setText(news, '');
    drawAhead('');
    slot.replaceChildren();
    for (const part of Object.values(parts)) part.reset();
    tabs.show('files');
  }

  // What is committed here only. It cannot be told from the repository itself, and where it cannot be read nothing is said.
  async function readAhead() {
    const mine = ++readingAhead;
    const { ahead: count, upstream } = await gitApi.status(repo.project_id, repo.id).catch(() => ({}));
    if (mine !== readingAhead || !repo) return;
    drawAhead(count > 0 ? `${plural(count, 'commit')} not pushed to ${upstream || 'the remote'} yet.` : '');
  }

  function drawAhead(words) {
    if (!words && document.activeElement === push) sync.focus();
    at.ahead = words;
    ahead.hidden = !words;
    setText(aheadWords, words);
    proposals.draw();
  }

  function refreshParts() {
    readAhead();
    for (const [part, view] of Object.entries(parts)) {
      view.stale();
      if (tabs.current === part) view.opened();
    }
  }

  function drawCount() {
    const count = openProposals(state, repo.id).length;
    tabs.relabel('proposals', count > 0 ? `Proposals (${count})` : 'Proposals');
  }

  // opener: the button it was asked for with. pushes: whether to push is ticked beforehand.
  function startSync(opener, pushes = false) {
    const also = h('input', { type: 'checkbox', testid: 'sync-push', checked: pushes });
    const back = () => (opener.checkVisibility() ? opener : sync).focus();
    const form = createForm({
      testid: 'sync-form',
      label: 'Sync',
      fields: [h('p', { class: 'work-hint' }, 'Fetches what is new and merges it. Where both sides changed the same lines nothing is touched.'), checkbox('Then push my commits to the remote', also)],
      action: 'Sync now',
      async save() {
        const result = await gitApi.sync(repo.project_id, repo.id, { push: also.checked });
        slot.replaceChildren();
        setText(news, `${SYNCED[result.result] || 'Synced'}${result.pushed ? ', and pushed' : ''}.`);
        refreshParts();
        back();
      },
      cancel() {
        slot.replaceChildren();
        back();
      },
    });
    setText(news, '');
    slot.replaceChildren(form.el);
    (pushes ? form.el.querySelector('[type="submit"]') : form).focus();
  }

  function startLogin() {
    const { fields, auth } = loginFields();
    const stop = () => {
      slot.replaceChildren();
      login.focus();
    };
    const form = createForm({
      testid: 'repo-login-form',
      label: 'Another login',
      fields,
      action: 'Keep it',
      async save() {
        await gitApi.change(repo.project_id, repo.id, { auth: auth() });
        stop();
        setText(news, 'Kept for the next sync.');
      },
      cancel: stop,
    });
    setText(news, '');
    slot.replaceChildren(form.el);
    form.focus();
  }

  async function setWrites() {
    try {
      const changed = await gitApi.change(repo.project_id, repo.id, { writes: writes.value });
      if (changed?.id) upsert(state.repos, changed);
      store.touch('repos');
    } catch (problem) {
      setText(note, inWords(problem));
      writes.value = repo.writes || 'propose';
    }
  }

  async function askToDetach() {
    const { project_id: project, id, repo_url: url } = repo;
    const gone = await askToRemove({
      look: () => gitApi.deletion(project, id),
      title: 'Detach this repository?',
      words: () => `The copy that Mira fetched goes, and the login kept for it. ${url} itself stays as it is.`,
      action: 'Detach it',
      remove: (force) => gitApi.detach(project, id, force),
    });
    if (!gone) return;
    state.repos.list = state.repos.list.filter((r) => r.id !== id);
    toList();
    store.touch('repos');
    say('Detached.');
  }

  return { el, at, update, focus: () => name.focus(), showTab: (part) => tabs.show(part) };
}
