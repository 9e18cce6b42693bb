// A document as she reads it: its text, page by page, and the way to the original. A passage that led here is marked.

import { h, icon, iconButton, setText } from '../dom.js';
import { contentAddress, fileApi } from '../file-api.js';
import { fileWords, isPicture, latest } from '../file-state.js';
import { findPassage } from '../passage.js';
import { inWords } from './form.js';

const MOST_LOOKED_THROUGH = 60; // pages of a document without pages of its own, where a source names none

export function createDocument(store, { openPicture }) {
  const { state } = store;
  let asked = null;
  let file = null;
  let page = 1;
  let pages = 1;
  let passage = null;
  const title = h('h3', { class: 'work-title', tabindex: '-1', testid: 'document-title' });
  const meta = h('p', { class: 'work-meta', testid: 'document-meta' });
  const save = h('a', { class: 'quiet small', testid: 'document-download', download: true }, icon('download'), 'The original');
  const picture = h('button', { type: 'button', class: 'thumb large', hidden: true, 'aria-haspopup': 'dialog', onclick: () => openPicture([file], 0) });
  const prev = iconButton('prev', 'Page before', { testid: 'document-prev', onclick: () => turn(-1) });
  const next = iconButton('next', 'Next page', { testid: 'document-next', onclick: () => turn(1) });
  const place = h('span', { class: 'document-place', role: 'status', testid: 'document-place' });
  const turner = h('div', { class: 'work-row document-turner', role: 'group', 'aria-label': 'Pages', hidden: true }, prev, place, next);
  const note = h('p', { class: 'work-empty', role: 'status', testid: 'document-note' });
  const text = h('pre', { class: 'document-text', tabindex: '0', 'aria-label': 'What stands on the page', testid: 'document-text' });
  const el = h('div', { class: 'work-one document', hidden: true }, title, meta, h('div', { class: 'work-row' }, save), picture, turner, note, text);

  async function open() {
    const { document: wanted } = state;
    file = state.knownFiles.get(wanted.id) || state.files.list.find((one) => one.id === wanted.id) || { id: wanted.id, name: wanted.name };
    page = wanted.page || 1;
    pages = 1;
    passage = wanted.passage || null;
    picture.hidden = true;
    drawHead();
    title.focus();
    await Promise.all([readFile(wanted.id), read({ further: passage !== null && !wanted.page })]);
  }

  async function readFile(id) {
    try {
      const told = await fileApi.read(id);
      if (state.document?.id !== id) return;
      file = told;
      drawHead();
    } catch (problem) {
      if (state.document?.id === id && problem.status === 404) gone();
    }
  }

  // further: the passage may stand on a later page.
  async function read({ further = false } = {}) {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    setText(note, 'Reading…');
    try {
      let told = await fileApi.text(file.id, page, mine.signal);
      if (further) told = await lookFurther(told, mine.signal);
      if (mine.signal.aborted) return;
      page = told.page || page;
      pages = Math.max(told.pages || 1, 1);
      drawText(told.text || '');
      setText(note, (told.text || '').trim() ? '' : 'No words stand on this page.');
    } catch (problem) {
      if (problem.name === 'AbortError' || mine.signal.aborted) return;
      setText(text, '');
      if (problem.status === 404 && !file.size) gone();
      else if (file.status === 'failed') setText(note, 'She could not read it. The original is as it was sent.');
      else setText(note, isPicture(file) ? '' : inWords(problem));
    }
    text.hidden = !text.textContent;
    text.scrollTop = 0;
    drawTurner();
    text.querySelector('mark')?.scrollIntoView({ block: 'center' });
  }

  // The first page on which the passage stands, or the one given.
  async function lookFurther(first, signal) {
    const last = Math.min(first.pages || 1, MOST_LOOKED_THROUGH);
    for (let told = first; ; told = await fileApi.text(file.id, told.page + 1, signal)) {
      if (findPassage(told.text || '', passage)) return told;
      if (!told.page || told.page >= last) return first;
    }
  }

  function drawText(words) {
    const found = passage && findPassage(words, passage);
    if (found) text.replaceChildren(words.slice(0, found.start), h('mark', { testid: 'document-passage' }, words.slice(found.start, found.end)), words.slice(found.end));
    else text.replaceChildren(words);
  }

  function gone() {
    setText(text, '');
    text.hidden = true;
    save.hidden = true;
    setText(meta, '');
    setText(note, 'This file was deleted.');
  }

  function turn(by) {
    const to = page + by;
    if (to < 1 || to > pages) return;
    page = to;
    drawTurner();
    read();
  }

  function drawTurner() {
    turner.hidden = pages < 2;
    setText(place, `Page ${page} of ${pages}`);
    prev.disabled = page <= 1;
    next.disabled = page >= pages;
  }

  function drawHead() {
    setText(title, file.name || 'A file');
    setText(meta, file.size === undefined ? '' : fileWords(file));
    save.hidden = false;
    save.href = contentAddress(file.id);
    save.download = file.name || '';
    const shows = isPicture(file);
    if (shows && picture.hidden) picture.replaceChildren(h('img', { src: contentAddress(file.id), alt: file.name }));
    picture.hidden = !shows;
    drawTurner();
  }

  // Read to its end meanwhile, or deleted.
  function follow() {
    if (!file || state.document?.id !== file.id || state.panel !== 'files') return;
    const now = latest(state, file);
    if (!now) {
      gone();
      return;
    }
    const done = file.status === 'processing' && now.status !== 'processing';
    file = now;
    drawHead();
    if (done) read();
  }

  el.addEventListener('keydown', (event) => {
    const by = { PageUp: -1, PageDown: 1 }[event.key];
    if (!by || !event.ctrlKey || pages < 2) return;
    event.preventDefault();
    turn(by);
  });
  store.on(['files'], follow);
  return { el, open };
}
