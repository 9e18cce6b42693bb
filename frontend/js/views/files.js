// The files panel: all of them or those of the project, with a way to send more; and the one that is
// read, page by page (document.js).

import { h, icon, iconButton, setText, shortDay } from '../dom.js';
import { contentAddress, fileApi, upload } from '../file-api.js';
import { fileWords, isPicture, latest } from '../file-state.js';
import { createPager, upsert, without } from '../paging.js';
import { confirmed } from './confirm.js';
import { createDocument } from './document.js';
import { attempt, choice, inWords, labelled, noteLine } from './form.js';
import { createList } from './pages.js';

const PAGE = 50;

export function createFilesPanel(store, { close, openPicture }) {
  const { state } = store;
  let place = 'all';
  const pager = createPager({
    page: () => state.files,
    changed: () => store.touch('files'),
    async read(cursor, signal) {
      const page = await fileApi.list({ project_id: state.files.place, limit: PAGE, cursor }, signal);
      return { rows: page.files, cursor: page.next_cursor };
    },
  });
  const title = h('h2', { id: 'files-title' }, 'Files');
  const back = iconButton('prev', 'All files', { testid: 'file-back', hidden: true, onclick: toList });
  const where = choice([['all', 'All files'], ['here', 'Of this project'], ['none', 'In no project']], 'all', { testid: 'files-place', onchange: () => show(where.value) });
  const whereField = labelled('Show', where);
  whereField.classList.add('inline');
  const picker = h('input', { type: 'file', multiple: true, hidden: true, tabindex: '-1', 'aria-hidden': 'true', testid: 'files-picker', onchange: picked });
  const add = h('button', { type: 'button', class: 'quiet small', testid: 'files-add', onclick: () => picker.click() }, icon('plus'), 'Add files');
  const sending = h('div', { class: 'work-slot', testid: 'files-sending' });
  const note = noteLine('files-note');
  const list = createList({
    testid: 'file-list',
    label: 'Files',
    page: () => state.files,
    row: () => fileRow(),
    nothing: () => 'No files yet. Drop one on the conversation, or add it here: she can then look things up in it.',
    more: pager.more,
    again: pager.first,
  });
  const listView = h('div', {}, h('div', { class: 'work-row' }, add, picker), whereField, sending, note, list.el);
  const one = createDocument(store, { openPicture });
  const el = h('aside', { class: 'panel work-panel files-panel', role: 'dialog', 'aria-labelledby': 'files-title', testid: 'files-panel' },
    h('div', { class: 'panel-top' }, back, title, h('span', { class: 'spacer' }), iconButton('close', 'Close', { testid: 'files-close', onclick: close })),
    listView, one.el);

  function fileRow() {
    let shown = null;
    const sign = h('span', { class: 'work-sign' }, icon('file'));
    const name = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const open = h('button', { type: 'button', class: 'work-open', testid: 'file', onclick: look }, sign, h('span', { class: 'work-two' }, name, meta));
    const remove = iconButton('trash', 'Delete', { testid: 'file-delete', onclick: () => attempt(remove, note, () => askToDelete(shown)) });
    const again = iconButton('again', 'Read it again', { testid: 'file-retry', hidden: true, onclick: tryAgain });
    const row = h('li', { class: 'work-item flat file-line' }, open, again, remove);
    let drawn = null;

    function look() {
      if (isPicture(shown)) {
        const pictures = state.files.list.filter(isPicture);
        openPicture(pictures, pictures.findIndex((file) => file.id === shown.id));
      } else {
        openDocument(shown, null);
      }
    }

    // It is hidden as soon as she reads again, which may be told before the answer: then it cannot have the keyboard back.
    async function tryAgain() {
      await attempt(again, note, () => readAgain(shown));
      if (again.hidden && document.activeElement === document.body) open.focus();
    }

    return {
      el: row,
      update(file) {
        shown = file;
        row.dataset.fileId = file.id;
        setText(name, file.name);
        setText(meta, [fileWords(file), file.author === 'mira' ? 'by Mira' : null, shortDay(file.created_at)].filter(Boolean).join(' · '));
        remove.setAttribute('aria-label', `Delete ${file.name}`);
        if (file.status !== 'failed' && document.activeElement === again) open.focus();
        again.hidden = file.status !== 'failed';
        again.setAttribute('aria-label', `Read ${file.name} again`);
        if (drawn === file.id) return;
        drawn = file.id;
        sign.replaceChildren(isPicture(file) ? h('img', { class: 'file-line-picture', src: contentAddress(file.id), alt: '', loading: 'lazy' }) : icon('file'));
      },
    };
  }

  // What came of it may be told before the answer that it began.
  async function readAgain({ id }) {
    const before = state.knownFiles.get(id);
    const begun = await fileApi.retry(id);
    if (state.knownFiles.get(id) === before) upsert(state.files, begun);
    store.touch('files');
  }

  async function askToDelete(file) {
    const yes = await confirmed({ title: 'Delete this file?', quote: file.name, text: 'Its bytes go, and with them what she read of it. Messages that were sent with it stay. This cannot be undone.', action: 'Delete it' });
    if (!yes) return;
    try {
      await fileApi.remove(file.id);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
    state.knownFiles.set(file.id, null);
    without(state.files, file.id);
    store.touch('files');
    if (state.document?.id === file.id) toList();
  }

  async function picked() {
    const blobs = [...picker.files];
    picker.value = '';
    const projectId = place === 'here' ? state.project?.id || null : null;
    for (const blob of blobs) await send(blob, projectId);
  }

  async function send(blob, projectId) {
    const bar = h('progress', { max: '1', 'aria-label': `Sending ${blob.name}` });
    const words = h('span', { class: 'work-meta' }, `Sending ${blob.name}`);
    const way = upload(blob, blob.name, { projectId, progress: (part) => { bar.value = part; } });
    const row = h('div', { class: 'work-progress' }, h('div', { class: 'work-row' }, words, h('span', { class: 'spacer' }), iconButton('close', `Cancel ${blob.name}`, { onclick: way.cancel })), bar);
    sending.append(row);
    setText(note, '');
    try {
      const file = latest(state, await way.done);
      if (file) upsert(state.files, file);
      store.touch('files');
    } catch (problem) {
      if (problem.name !== 'AbortError') setText(note, `${blob.name}: ${inWords(problem)}`);
    } finally {
      row.remove();
    }
  }

  function openDocument(file, page, passage = null) {
    state.document = { id: file.id, name: file.name || '', page, passage };
    draw();
    one.open();
  }

  function toList() {
    const id = state.document?.id;
    state.document = null;
    draw();
    if (!state.files.loaded) pager.first();
    ((id && list.rowOf(id)?.el.querySelector('button')) || add).focus();
  }

  function show(which) {
    place = which;
    where.value = which;
    state.files = { ...state.files, place: which === 'all' ? null : which === 'here' ? state.project?.id || 'none' : 'none', list: [], cursor: null, loaded: false };
    pager.first();
  }

  function draw() {
    if (state.panel !== 'files') return;
    const single = Boolean(state.document);
    back.hidden = !single;
    listView.hidden = single;
    one.el.hidden = !single;
    if (single) return;
    whereField.hidden = !state.project;
    list.draw();
  }

  function opened() {
    if (state.panel !== 'files') return;
    draw();
    if (!state.document) show(state.project ? place : 'all');
  }

  store.on(['files', 'project'], draw);
  store.on(['panel'], opened);
  // Events of the account are not told again.
  store.on(['greeted'], () => pager.again({ shown: state.panel === 'files' }));
  return { el, openDocument };
}
