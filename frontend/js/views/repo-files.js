// The files of a repository: folders read when they are opened, one file with line numbers, and the
// owner's own changes, each of them a commit.

import { h, icon, setText } from '../dom.js';
import { gitApi } from '../work-api.js';
import { attempt, createForm, inWords, labelled, noteLine } from './form.js';
import { createFile } from './repo-file.js';

const ENTRIES_AT_ONCE = 500;
const KINDS = { symlink: 'link', submodule: 'submodule' };

export function createFiles(at) {
  let stale = true;
  let reading = 0;
  const note = noteLine('files-problem');
  const tree = h('div', { testid: 'repo-tree' });
  const newFile = h('button', { type: 'button', class: 'quiet small', testid: 'file-new', onclick: () => startNew() }, icon('plus'), 'New file');
  const slot = h('div', { class: 'work-slot' });
  const listing = h('div', {}, h('div', { class: 'work-row' }, newFile), slot, note, tree);
  const file = createFile(at, { closed: toTree });
  const el = h('div', { class: 'work-tab' }, listing, file.el);

  // --- folders -------------------------------------------------------------------------------------------

  async function readRoot() {
    const mine = ++reading;
    setText(note, '');
    try {
      const list = await folder('');
      if (mine !== reading) return;
      const open = new Set([...tree.querySelectorAll('[aria-expanded="true"]')].map((button) => button.dataset.path));
      tree.replaceChildren(list);
      // What was unfolded stays so, parents before children.
      for (const path of [...open].sort()) {
        const button = tree.querySelector(`[data-path="${CSS.escape(path)}"][aria-expanded]`);
        if (button) await unfold(button);
        if (mine !== reading) return;
      }
    } catch (problem) {
      if (mine === reading) setText(note, inWords(problem));
    }
  }

  async function folder(path) {
    const { entries, total, truncated } = await gitApi.tree(at.projectId, at.id, { path: path || null });
    if (entries.length === 0) return h('p', { class: 'work-empty' }, path ? 'An empty folder.' : 'No files yet.');
    const list = h('ul', { class: 'tree', 'aria-label': path ? `Folder ${path}` : 'Files' });
    const more = h('button', { type: 'button', class: 'quiet small', onclick: () => extend() }, 'Show more');
    let shown = 0;
    function extend() {
      more.remove();
      const next = entries.slice(shown, shown + ENTRIES_AT_ONCE);
      shown += next.length;
      list.append(...next.map(entryRow));
      if (shown < entries.length) list.append(h('li', {}, more));
      else if (truncated) list.append(h('li', { class: 'work-hint' }, `and ${(total - entries.length).toLocaleString()} more that are not listed`));
    }
    extend();
    return list;
  }

  function entryRow(entry) {
    if (entry.type === 'dir' && entry.reachable !== false) {
      const button = h('button', { type: 'button', class: 'tree-entry', 'aria-expanded': 'false', 'data-path': entry.path, testid: 'tree-dir', onclick: () => toggle(button) }, icon('next'), icon('folder'), h('span', {}, entry.name));
      return h('li', {}, button);
    }
    const why = unreadable(entry);
    return h('li', {}, h('button', { type: 'button', class: 'tree-entry', 'data-path': entry.path, testid: 'tree-file', disabled: Boolean(why), title: why, onclick: () => open(entry.path) },
      h('span', { class: 'tree-gap', 'aria-hidden': 'true' }), icon('file'), h('span', {}, entry.name), KINDS[entry.type] ? h('span', { class: 'file-state' }, KINDS[entry.type]) : null));
  }

  function unreadable(entry) {
    if (entry.type === 'symlink') return 'A link: it is not followed';
    if (entry.type === 'submodule') return 'Another repository: it is not fetched';
    return entry.reachable === false ? 'Its name cannot be asked for' : null;
  }

  async function toggle(button) {
    if (button.getAttribute('aria-expanded') === 'true') {
      button.setAttribute('aria-expanded', 'false');
      button.parentElement.querySelector(':scope > .tree, :scope > .work-empty')?.remove();
    } else {
      await attempt(button, note, () => unfold(button));
      button.focus();
    }
  }

  async function unfold(button) {
    const list = await folder(button.dataset.path);
    button.parentElement.querySelector(':scope > .tree, :scope > .work-empty')?.remove();
    button.setAttribute('aria-expanded', 'true');
    button.parentElement.append(list);
  }

  // --- one file ------------------------------------------------------------------------------------------

  function open(path, options = {}) {
    listing.hidden = true;
    file.open(path, options);
  }

  function toTree(path) {
    listing.hidden = false;
    if (stale) opened();
    (tree.querySelector(`[data-path="${CSS.escape(path || '')}"]`) || newFile).focus();
  }

  function startNew() {
    const path = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', testid: 'new-path', placeholder: 'docs/notes.md' });
    const content = h('textarea', { rows: '8', class: 'code-field', spellcheck: 'false', testid: 'new-content' });
    const message = h('input', { type: 'text', autocomplete: 'off', testid: 'new-message', placeholder: 'What the commit says' });
    const form = createForm({
      testid: 'new-file',
      label: 'New file',
      fields: [labelled('Path', path), labelled('Content', content), labelled('Commit message', message, 'Without one it names the file.')],
      action: 'Commit',
      async save() {
        const to = path.value.trim();
        await gitApi.create(at.projectId, at.id, to, { content: content.value, ...(message.value.trim() ? { commit_message: message.value.trim() } : {}) });
        slot.replaceChildren();
        at.changed();
        open(to);
      },
      cancel() {
        slot.replaceChildren();
        newFile.focus();
      },
    });
    slot.replaceChildren(form.el);
    form.focus();
  }

  function opened() {
    if (!stale) return;
    stale = false;
    readRoot();
    file.refresh();
  }

  return {
    el,
    open,
    opened,
    stale() {
      stale = true;
    },
    reset() {
      stale = true;
      reading += 1;
      tree.replaceChildren();
      slot.replaceChildren();
      listing.hidden = false;
      file.close();
      setText(note, '');
    },
  };
}

