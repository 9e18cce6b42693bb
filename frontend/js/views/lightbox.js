// Pictures, large: arrow keys go from one to the next, Escape leaves, and the focus returns to where it was.

import { h, icon, iconButton, setText } from '../dom.js';
import { contentAddress } from '../file-api.js';

// pictures: [{ id, name }], or { src, name } for one that no file holds.
export function openLightbox(pictures, start = 0) {
  if (pictures.length === 0) return;
  const before = document.activeElement;
  let at = Math.max(0, start);
  const image = h('img', { alt: '', testid: 'lightbox-picture' });
  const name = h('span', { class: 'lightbox-name' });
  const place = h('span', { class: 'lightbox-place', testid: 'lightbox-place' });
  const save = h('a', { class: 'icon-button', title: 'Download', 'aria-label': 'Download', testid: 'lightbox-download' }, icon('download'));
  const prev = iconButton('prev', 'Picture before', { class: 'lightbox-step', testid: 'lightbox-prev', onclick: () => step(-1) });
  const next = iconButton('next', 'Next picture', { class: 'lightbox-step', testid: 'lightbox-next', onclick: () => step(1) });
  const dialog = h('dialog', { class: 'lightbox', 'aria-label': 'Picture', testid: 'lightbox' },
    h('div', { class: 'lightbox-top' }, name, place, save, iconButton('close', 'Close', { testid: 'lightbox-close', onclick: () => dialog.close() })),
    h('div', { class: 'lightbox-stage' }, prev, image, next));

  function draw() {
    const picture = pictures[at];
    const src = picture.src || contentAddress(picture.id);
    image.src = src;
    image.alt = picture.name || 'Picture';
    save.href = src;
    save.download = picture.name || 'picture';
    setText(name, picture.name || 'Picture');
    setText(place, pictures.length > 1 ? `${at + 1} of ${pictures.length}` : '');
    for (const button of [prev, next]) button.hidden = pictures.length < 2;
  }

  function step(by) {
    at = (at + by + pictures.length) % pictures.length;
    draw();
  }

  dialog.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || pictures.length < 2) return;
    event.preventDefault();
    step(by);
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog || event.target.classList.contains('lightbox-stage')) dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  draw();
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-testid="lightbox-close"]').focus();
}
