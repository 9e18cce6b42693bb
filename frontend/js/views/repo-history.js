// The history of a repository or of one path in it, and what a commit changed, against each parent.

import { clock, h, iconButton, setText, shortDay } from '../dom.js';
import { createPager, emptyPage } from '../paging.js';
import { gitApi } from '../work-api.js';
import { plural } from '../memory-state.js';
import { fileDiff } from './diff.js';
import { inWords, noteLine } from './form.js';
import { createList } from './pages.js';

const PAGE = 50;
const OPEN_FILES = 8; // of a commit with more, only the first are unfolded

const when = (time) => (time ? `${shortDay(time)} ${clock(time)}` : '');

export function createHistory(at) {
  let page = emptyPage();
  let path = null;
  let stale = true;
  let opening = 0;
  const pathLine = h('p', { class: 'work-hint', testid: 'history-path' });
  const all = h('button', { type: 'button', class: 'quiet small', testid: 'history-all', onclick: () => setPath(null) }, 'Show all');
  const pathRow = h('div', { class: 'work-row', hidden: true }, pathLine, all);
  const pager = createPager({
    page: () => page,
    changed: () => list.draw(),
    async read(cursor, signal) {
      const answer = await gitApi.commits(at.projectId, at.id, { path, limit: PAGE, cursor }, signal);
      return { rows: answer.commits.map((commit) => ({ ...commit, id: commit.sha })), cursor: answer.next_cursor };
    },
  });
  const list = createList({ testid: 'commit-list', label: 'Commits', page: () => page, row: () => commitRow(), nothing: () => 'No commits yet.', more: pager.more, again: pager.first });
  const listing = h('div', {}, pathRow, list.el);
  const detail = h('div', { class: 'work-one', testid: 'commit-view', hidden: true });
  const el = h('div', { class: 'work-tab' }, listing, detail);

  function commitRow() {
    const summary = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const row = h('li', { class: 'work-item flat' }, h('button', { type: 'button', class: 'work-open', testid: 'commit', onclick: () => openCommit(row.dataset.sha) }, h('span', { class: 'work-two' }, summary, meta)));
    return {
      el: row,
      update(commit) {
        row.dataset.sha = commit.sha;
        setText(summary, commit.summary || '(no message)');
        setText(meta, [commit.author?.name, when(commit.author?.date), String(commit.sha).slice(0, 8), commit.parents?.length > 1 ? 'merge' : null].filter(Boolean).join(' · '));
      },
    };
  }

  async function openCommit(sha) {
    const mine = ++opening;
    const note = noteLine('commit-problem');
    const back = iconButton('prev', 'Back to the history', { testid: 'commit-back', onclick: () => toList(sha) });
    const head = h('div', { class: 'work-row' }, back, h('code', {}, String(sha).slice(0, 12)));
    listing.hidden = true;
    detail.hidden = false;
    detail.replaceChildren(head, note);
    back.focus();
    try {
      const diff = await gitApi.diff(at.projectId, at.id, sha);
      if (mine !== opening) return;
      const { commit } = diff;
      detail.append(
        h('h4', { class: 'commit-summary' }, commit.summary || '(no message)'),
        h('p', { class: 'work-meta' }, [commit.author.name, when(commit.author.date)].filter(Boolean).join(' · ')),
        ...bodyOf(commit),
        ...diff.parents.flatMap((parent, index) => parentView(parent, index, diff.parents.length)));
    } catch (problem) {
      if (mine === opening) setText(note, inWords(problem));
    }
  }

  function bodyOf(commit) {
    const rest = (commit.message || '').split('\n').slice(1).join('\n').trim();
    return rest ? [h('p', { class: 'commit-message' }, rest)] : [];
  }

  function parentView(parent, index, count) {
    const { sha } = parent;
    return [
      count > 1 ? h('h4', {}, `Against its ${index === 0 ? 'first' : index === 1 ? 'second' : `${index + 1}th`} parent`, sha ? h('code', {}, ` ${String(sha).slice(0, 8)}`) : null) : null,
      h('p', { class: 'work-hint' }, `${plural(parent.files.length, 'file')}${parent.truncated ? ', and more that are not shown' : ''}`),
      ...parent.files.map((file, at_) => fileDiff(file, { open: at_ < OPEN_FILES })),
    ].filter(Boolean);
  }

  function toList(sha) {
    opening += 1;
    detail.hidden = true;
    detail.replaceChildren();
    listing.hidden = false;
    if (stale) opened();
    list.rowOf(sha)?.el.querySelector('button').focus();
  }

  function setPath(next) {
    path = next;
    page = emptyPage();
    pathRow.hidden = !path;
    setText(pathLine, path ? `Only what touched ${path}.` : '');
    detail.hidden = true;
    detail.replaceChildren();
    listing.hidden = false;
    stale = false;
    pager.first();
  }

  function opened() {
    if (!stale || !detail.hidden) return;
    stale = false;
    pager.first();
  }

  return {
    el,
    opened,
    setPath,
    openCommit,
    stale() {
      stale = true;
    },
    reset() {
      stale = true;
      opening += 1;
      path = null;
      pager.drop();
      page = emptyPage();
      pathRow.hidden = true;
      detail.hidden = true;
      detail.replaceChildren();
      listing.hidden = false;
      list.draw();
    },
  };
}
