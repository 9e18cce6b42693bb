// Files where they were sent or made: pictures as thumbnails that open large, anything else as a chip
// that opens what she read of it.

import { h, icon, setText } from '../dom.js';
import { contentAddress } from '../file-api.js';
import { fileWords, isPicture, latest } from '../file-state.js';

// context: { store, openFile(file, page), openPicture(pictures, index) }
export function createFiles(files, context, { label = 'Files' } = {}) {
  const { store } = context;
  const whole = files.filter((file) => file && typeof file.id === 'string');
  if (whole.length === 0) return null;
  const pictures = whole.filter(isPicture);
  const rows = whole.map((file) => (isPicture(file) ? thumbnail(file, pictures, context) : chip(file, context)));
  const el = h('ul', { class: 'file-row', 'aria-label': label, testid: 'files' }, rows.map((row) => row.el));
  const draw = () => rows.forEach((row) => row.draw(latest(store.state, row.file)));
  draw();
  const off = store.on(['files'], () => {
    if (el.isConnected) draw();
    else off();
  });
  return el;
}

function thumbnail(file, pictures, { store, openPicture }) {
  const name = file.name || 'Picture';
  const image = h('img', { src: contentAddress(file.id), alt: name, loading: 'lazy', decoding: 'async' });
  const open = () => {
    const there = pictures.filter((one) => latest(store.state, one));
    openPicture(there, there.indexOf(file));
  };
  const button = h('button', { type: 'button', class: 'thumb', testid: 'thumb', title: name, 'aria-label': `Look at ${name}`, 'aria-haspopup': 'dialog', onclick: open }, image);
  const gone = h('span', { class: 'file-gone', hidden: true }, icon('picture'), `${name} was deleted`);
  image.addEventListener('error', () => draw(null, 'cannot be shown'));
  function draw(now, why = 'was deleted') {
    button.hidden = !now;
    gone.hidden = Boolean(now);
    if (!now) setText(gone, `${name} ${why}`);
  }
  return { file, el: h('li', { class: 'file-picture' }, button, gone), draw };
}

function chip(file, { openFile }) {
  const name = h('span', { class: 'file-name' }, file.name || 'File');
  const words = h('span', { class: 'file-words', testid: 'file-words' });
  const button = h('button', { type: 'button', class: 'file-chip', testid: 'file-chip', onclick: () => openFile(file, null) }, icon('file'), h('span', { class: 'file-two' }, name, words));
  return {
    file,
    el: h('li', {}, button),
    draw(now) {
      button.disabled = !now;
      setText(words, now ? fileWords(now) : 'was deleted');
      button.dataset.status = now?.status || 'gone';
    },
  };
}
