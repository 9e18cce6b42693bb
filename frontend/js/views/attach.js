// What goes with the next message: chosen, dropped or pasted, each with its progress, its trouble and a
// way to take it out again.

import { h, icon, iconButton, setText } from '../dom.js';
import { contentAddress } from '../file-api.js';
import { fileWords, isPicture, latest } from '../file-state.js';
import { sizeWords } from '../work-state.js';
import { fieldText } from './form.js';
import { say } from './notices.js';

const TOUCH = matchMedia('(pointer: coarse)');
const LONG_CHARS = 20_000; // pasted at once: rather a document than something said
const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes('Files');

// The row of chips beside a field, and the button that opens the picker. leave() ends it. field: where the keyboard goes.
export function createAttachments(store, uploads, { openPicture, field = () => document.getElementById('composer') }) {
  const { state } = store;
  const rows = new Map();
  // A telephone offers its camera where pictures are asked for by name.
  const picker = h('input', { type: 'file', multiple: true, hidden: true, tabindex: '-1', 'aria-hidden': 'true', accept: TOUCH.matches ? 'image/*,application/*,text/*' : null, testid: 'file-picker', onchange: picked });
  const button = iconButton('clip', 'Add files', { class: 'attach', testid: 'attach', onclick: () => picker.click() });
  const list = h('ul', { class: 'attached', 'aria-label': 'Files that go with the message', testid: 'attached', hidden: true });

  function picked() {
    uploads.add([...picker.files]);
    picker.value = '';
    field()?.focus();
  }

  function row(item) {
    const picture = h('span', { class: 'attached-sign' }, icon(item.media_type?.startsWith('image/') ? 'picture' : 'file'));
    const name = h('span', { class: 'file-name' }, item.name);
    const words = h('span', { class: 'file-words', testid: 'attached-words' });
    const bar = h('progress', { max: '1', 'aria-label': `Sending ${item.name}` });
    const again = h('button', { type: 'button', class: 'text-button', testid: 'attached-retry', onclick: () => uploads.retry(item.key) }, 'Try again');
    const out = iconButton('close', `Take out ${item.name}`, { testid: 'attached-remove', onclick: () => remove(item.key) });
    const el = h('li', { class: 'attached-one', testid: 'attached-file' }, picture, h('span', { class: 'file-two' }, name, words, bar), again, out);
    let thumb = false;

    function update(now) {
      const file = now.file && latest(state, now.file);
      el.dataset.state = now.state;
      bar.hidden = now.state !== 'sending' && now.state !== 'queued';
      bar.value = now.progress || 0;
      again.hidden = now.state !== 'failed';
      setText(words, {
        queued: `${sizeWords(now.size)} · waits`,
        sending: `${sizeWords(now.size)} · ${Math.round((now.progress || 0) * 100)} %`,
        failed: now.error || 'It could not be sent.',
      }[now.state] || (file ? fileWords(file) : ''));
      if (file && isPicture(file) && !thumb) {
        thumb = true;
        picture.replaceChildren(h('button', { type: 'button', class: 'thumb tiny', 'aria-label': `Look at ${file.name}`, onclick: () => openPicture([file], 0) }, h('img', { src: contentAddress(file.id), alt: '' })));
      }
    }
    return { el, update };
  }

  function remove(key) {
    const { el } = rows.get(key) || {};
    const next = (el?.nextElementSibling || el?.previousElementSibling)?.querySelector('[data-testid="attached-remove"]');
    uploads.remove(key);
    (next || field())?.focus();
  }

  function draw() {
    const items = uploads.list();
    const keep = new Set(items.map((item) => item.key));
    for (const [key, known] of rows) {
      if (keep.has(key)) continue;
      known.el.remove();
      rows.delete(key);
    }
    for (const item of items) {
      if (!rows.has(item.key)) {
        rows.set(item.key, row(item));
        list.append(rows.get(item.key).el);
      }
      rows.get(item.key).update(item);
    }
    list.hidden = items.length === 0;
  }

  // Text wins where both were copied: a table out of an office program also comes as a picture of it.
  function onPaste(event) {
    const { files, types } = event.clipboardData || {};
    if (types?.includes('text/plain')) offerFile(event.clipboardData.getData('text/plain'));
    if (!files || files.length === 0 || types.includes('text/plain')) return;
    event.preventDefault();
    uploads.add([...files].map((file, index) => (/^image\.\w+$/.test(file.name) ? renamed(file, index) : file)));
  }

  const pastedName = (index, ending) => `Pasted ${new Date().toLocaleTimeString('en-GB').replaceAll(':', '.')}${index > 0 ? ` ${index + 1}` : ''}.${ending}`;

  const renamed = (file, index) => new File([file], pastedName(index, file.name.split('.').at(-1)), { type: file.type });

  // As a file it is looked things up in, and takes no room in every prompt.
  function offerFile(pasted) {
    const text = fieldText(pasted);
    if (text.length < LONG_CHARS) return;
    say('That is long for a message.', {
      label: 'Make it a file',
      run() {
        const place = field();
        const at = place.value.indexOf(text);
        if (at < 0) return;
        place.setRangeText('', at, at + text.length, 'end');
        place.dispatchEvent(new Event('input'));
        uploads.add([new File([text], pastedName(0, 'txt'), { type: 'text/plain' })]);
        place.focus();
      },
    });
  }

  const leave = store.on(['attached', 'session', 'thread', 'files'], draw);
  draw();
  return { list, button, picker, onPaste, leave };
}

export function takeDrop(event, uploads) {
  if (!hasFiles(event)) return;
  event.preventDefault();
  const entries = [...event.dataTransfer.items].filter((item) => item.kind === 'file');
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
  if (entries.some(isFolder)) say('A folder cannot be taken whole: drop the files in it.');
  uploads.add(entries.filter((item) => !isFolder(item)).map((item) => item.getAsFile()).filter(Boolean));
}

// The whole conversation takes what is dropped on it. A miss beside it is no way to leave the page.
export function takeDrops(stage, uploads) {
  let depth = 0;
  const overlay = h('div', { class: 'drop-overlay', hidden: true, 'aria-hidden': 'true', testid: 'drop-overlay' }, h('p', {}, icon('clip'), 'Drop it here'));
  stage.append(overlay);

  const show = (there) => {
    overlay.hidden = !there;
  };
  stage.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    show(true);
  });
  stage.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  stage.addEventListener('drop', (event) => {
    depth = 0;
    show(false);
    // A message that is being edited takes what is dropped on it itself.
    if (event.defaultPrevented || !hasFiles(event)) return;
    takeDrop(event, uploads);
    document.getElementById('composer')?.focus();
  });
  const still = (event) => {
    if (!stage.isConnected) {
      for (const kind of ['dragover', 'drop']) window.removeEventListener(kind, still);
    } else if (hasFiles(event)) {
      event.preventDefault();
      if (event.type === 'dragover') event.dataTransfer.dropEffect = stage.contains(event.target) ? 'copy' : 'none';
    }
  };
  for (const kind of ['dragover', 'drop']) window.addEventListener(kind, still);
}
