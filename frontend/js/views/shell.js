// The frame of the page: sidebar, header, conversation, composer, the panels; and the keys that work
// everywhere.

import { h } from '../dom.js';
import { createSidebar } from './sidebar.js';
import { createHeader } from './header.js';
import { createThread } from './thread.js';
import { createComposer } from './composer.js';
import { createMemoryPanel } from './memory.js';
import { askToForget, inWords } from './memory-card.js';
import { hush, say } from './notices.js';
import { createPanel } from './panel.js';
import { createReceipt } from './receipt.js';
import { createSearch } from './search.js';

const NARROW = matchMedia('(max-width: 860px)');

export function createShell(store, chat, memories, { go, logout }) {
  const { state } = store;
  const search = createSearch(store, chat, { go });
  const sidebar = createSidebar(store, chat, { go, logout, openSearch: () => search.open(), closeDrawer: () => drawer(false) });
  const receipt = createReceipt(store, chat, memories);
  const panels = {
    her: createPanel(store, chat, { close: () => openPanel(null) }),
    memory: createMemoryPanel(store, chat, memories, { close: () => openPanel(null), show: showMessage }),
  };
  const header = createHeader(store, { openDrawer: () => drawer(true), togglePanel: () => toggle('her'), toggleMemory: () => toggle('memory'), openSearch: () => search.open() });
  const thread = createThread(store, chat, { openReceipt: receipt.open, forget: forgetMessage });
  const composer = createComposer(store, chat, { editLast: () => thread.editLast() });
  const scrim = h('div', { class: 'scrim', onclick: () => drawer(false) });
  const main = h('div', { class: 'stage' }, header, thread.el, composer.el);
  const shell = h('div', { class: 'shell' },
    h('a', { class: 'skip-link', href: '#composer', onclick: skip }, 'Skip to the message field'),
    sidebar, scrim, main, ...Object.values(panels), search.el, receipt.el);
  let opener = null; // what opened the panel, and gets the focus back

  function skip(event) {
    event.preventDefault();
    composer.focus();
  }

  function drawer(open) {
    state.drawer = open;
    shell.classList.toggle('drawer-open', open);
    layOut();
    if (open) sidebar.querySelector('button, a')?.focus();
    else if (NARROW.matches) header.querySelector('[data-drawer]')?.focus();
  }

  const toggle = (name) => openPanel(state.panel === name ? null : name);

  function openPanel(name) {
    const before = state.panel;
    if (!before) opener = document.activeElement;
    state.panel = name;
    for (const [key, panel] of Object.entries(panels)) panel.hidden = key !== name;
    shell.classList.toggle('panel-open', Boolean(name));
    layOut();
    store.touch('panel');
    if (name) panels[name].querySelector('button')?.focus();
    else (opener?.isConnected && opener !== document.body ? opener : header.querySelector(`[data-testid=${before === 'memory' ? 'memory' : 'persona'}-button]`))?.focus();
  }

  // On a narrow screen the panel covers the message.
  function showMessage({ messageId, sessionId }) {
    if (NARROW.matches) openPanel(null);
    return chat.show(messageId, sessionId);
  }

  async function forgetMessage({ id, content }) {
    try {
      if (await askToForget(memories, { id, kind: 'message', text: content }, () => say('Forgetting…'))) say('Forgotten.');
    } catch (problem) {
      say(inWords(problem));
    }
  }

  // A closed drawer is out of the tab order; an open one takes it, and so does a panel that covers all.
  function layOut() {
    const covered = NARROW.matches && Boolean(state.panel);
    sidebar.inert = NARROW.matches && (!state.drawer || covered);
    main.inert = NARROW.matches && (state.drawer || covered);
    for (const panel of Object.values(panels)) panel.setAttribute('aria-modal', String(NARROW.matches));
  }

  function onKey(event) {
    if (!shell.isConnected) {
      document.removeEventListener('keydown', onKey);
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      search.open();
    } else if (event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.code === 'KeyM' && !document.querySelector('dialog[open]')) {
      event.preventDefault();
      toggle('memory');
    } else if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) {
      if (state.drawer) drawer(false);
      else if (state.panel) openPanel(null);
    }
  }

  store.on(['forgotten'], hush);
  document.addEventListener('keydown', onKey);
  NARROW.addEventListener('change', layOut);
  layOut();
  for (const panel of Object.values(panels)) panel.hidden = true;
  return shell;
}
