// Where the owner writes. Drafts are kept per session; what is typed while she answers is queued by
// the server. Files go along once they have arrived: until then the message waits here.

import { h, icon, iconButton, setText } from '../dom.js';
import { activeTurn } from '../timeline.js';
import { read, write } from '../storage.js';
import { createAttachments } from './attach.js';
import { announce, say } from './notices.js';
import { enterHint, sends } from '../viewport.js';

const DRAFT_DELAY_MS = 300;

// turnPage(by): scrolls the conversation by as much as is in sight.
export function createComposer(store, chat, uploads, { editLast, turnPage, openPicture }) {
  const { state } = store;
  let draftOf = null;
  let timer = 0;
  let waiting = false; // to be sent when the uploads are there
  const attachments = createAttachments(store, uploads, { openPicture });
  const field = h('textarea', {
    id: 'composer', rows: '1', 'aria-label': 'Message to Mira', placeholder: 'Say something to Mira', enterkeyhint: enterHint(),
    testid: 'composer', oninput: changed, onkeydown: onKey, onpaste: attachments.onPaste, onblur: () => chat.typing(false),
  });
  const sendButton = h('button', { type: 'submit', class: 'send', testid: 'send', 'aria-label': 'Send', title: 'Send (Enter)' }, icon('send'));
  const stopButton = h('button', { type: 'button', class: 'stop', testid: 'stop', 'aria-label': 'Stop her', title: 'Stop', hidden: true, onclick: () => chat.stop() }, icon('stop'));
  const status = h('p', { class: 'status-line', role: 'status', testid: 'typing' });
  const aboutText = h('span', { class: 'about-text' });
  const about = h('div', { class: 'about-file', testid: 'about-file', hidden: true }, icon('file'), aboutText,
    iconButton('close', 'Not about a file', { testid: 'about-file-drop', onclick: dropFile }));
  const el = h('footer', { class: 'composer' },
    attachments.list,
    about,
    h('form', {
      class: 'composer-box',
      onsubmit(event) {
        event.preventDefault();
        submit();
      },
    }, attachments.button, attachments.picker, field, stopButton, sendButton),
    status);

  function submit() {
    const content = field.value.trim();
    if (!state.sessionId) return;
    if (!content) {
      if (uploads.list().length > 0) say('Say a word with it: what should she do with the files?');
      return;
    }
    if (uploads.failed()) {
      say('A file did not arrive. Try it again, or take it out.');
      return;
    }
    if (uploads.busy()) {
      hold(true);
      announceWait();
      return;
    }
    hold(false);
    const files = uploads.take();
    field.value = '';
    fit();
    saveDraft();
    chat.send(content, { metadata: state.focusFile, files });
    dropFile();
  }

  function hold(on) {
    waiting = on;
    el.classList.toggle('waiting', on);
    drawStatus();
  }

  const announceWait = () => announce('The message goes when the files have arrived.');

  // The last upload arrived, or one failed.
  function onUploads() {
    el.classList.toggle('with-files', uploads.list().length > 0);
    if (!waiting || uploads.busy()) return;
    hold(false);
    if (uploads.failed()) say('A file did not arrive, so the message was not sent.');
    else submit();
  }

  function onKey(event) {
    const pages = { PageUp: -1, PageDown: 1 }[event.key];
    if (sends(event)) {
      event.preventDefault();
      submit();
    } else if (pages && field.scrollHeight <= field.clientHeight + 1) {
      event.preventDefault();
      turnPage(pages);
    } else if (event.key === 'ArrowUp' && field.value === '' && editLast()) {
      event.preventDefault();
    }
  }

  function changed() {
    fit();
    chat.typing(field.value !== '');
    clearTimeout(timer);
    timer = setTimeout(saveDraft, DRAFT_DELAY_MS);
  }

  function fit() {
    if (!CSS.supports('field-sizing', 'content')) {
      field.style.setProperty('height', 'auto');
      field.style.setProperty('height', `${field.scrollHeight}px`);
    }
    el.classList.toggle('filled', field.value.trim() !== '');
  }

  function saveDraft() {
    clearTimeout(timer);
    if (draftOf && el.isConnected) write(`draft.${draftOf}`, field.value);
  }

  // The default session's name becomes known late; what was typed before stays with it.
  function follow() {
    if (state.sessionId === draftOf) return;
    const typed = field.value;
    if (draftOf) {
      hold(false);
      saveDraft();
      field.value = '';
    }
    draftOf = state.sessionId;
    if (draftOf && (!typed || field.value === '')) field.value = read(`draft.${draftOf}`) || '';
    fit();
    uploads.restore();
  }

  function dropFile() {
    state.focusFile = null;
    drawFile();
    field.focus();
  }

  // The place in a repository that the next message is about.
  function drawFile() {
    const place = state.focusFile;
    about.hidden = !place;
    if (!place) return;
    const { start_line: start, end_line: end } = place.selection || {};
    setText(aboutText, `About ${place.file_path}${start ? (start === end ? `, line ${start}` : `, lines ${start} to ${end}`) : ''}`);
  }

  function drawTurn() {
    stopButton.hidden = !activeTurn(state);
    el.classList.toggle('busy', !stopButton.hidden);
  }

  function drawStatus() {
    if (waiting) setText(status, 'Goes when the files have arrived…');
    else if (state.link === 'offline') setText(status, 'No connection. What you send waits here.');
    else setText(status, state.typing ? 'You are typing on another device…' : '');
  }

  function drawMode() {
    field.placeholder = state.session?.memory === 'off' ? 'Say it off the record' : 'Say something to Mira';
  }

  store.on(['focus-file'], drawFile);
  store.on(['session'], drawMode);
  store.on(['session', 'thread', 'sessions'], follow);
  store.on(['turn'], drawTurn);
  store.on(['typing', 'link'], drawStatus);
  store.on(['attached', 'session'], onUploads);
  window.addEventListener('pagehide', saveDraft);
  if (matchMedia('(pointer: fine)').matches) queueMicrotask(() => field.focus());
  return { el, focus: () => field.focus() };
}
