// The frame of the page: sidebar, header, conversation, composer, her panel; and the keys that work
// everywhere.

import { h } from '../dom.js';
import { createSidebar } from './sidebar.js';
import { createHeader } from './header.js';
import { createThread } from './thread.js';
import { createComposer } from './composer.js';
import { createPanel } from './panel.js';
import { createSearch } from './search.js';

const NARROW = matchMedia('(max-width: 860px)');

export function createShell(store, chat, { go, logout }) {
  const { state } = store;
  const search = createSearch(store, chat, { go });
  const sidebar = createSidebar(store, chat, { go, logout, openSearch: () => search.open(), closeDrawer: () => drawer(false) });
  const panel = createPanel(store, chat, { close: () => togglePanel(false) });
  const header = createHeader(store, { openDrawer: () => drawer(true), togglePanel: () => togglePanel(!state.panel), openSearch: () => search.open() });
  const thread = createThread(store, chat);
  const composer = createComposer(store, chat, { editLast: () => thread.editLast() });
  const scrim = h('div', { class: 'scrim', onclick: () => drawer(false) });
  const main = h('div', { class: 'stage' }, header, thread.el, composer.el);
  const shell = h('div', { class: 'shell' },
    h('a', { class: 'skip-link', href: '#composer', onclick: skip }, 'Skip to the message field'),
    sidebar, scrim, main, panel, search.el);

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

  function togglePanel(open) {
    state.panel = open;
    shell.classList.toggle('panel-open', open);
    panel.hidden = !open;
    store.touch('panel');
    if (open) panel.querySelector('button')?.focus();
    else header.querySelector('[data-testid=persona-button]')?.focus();
  }

  // A closed drawer is out of the tab order; an open one takes it.
  function layOut() {
    sidebar.inert = NARROW.matches && !state.drawer;
    main.inert = NARROW.matches && state.drawer;
  }

  function onKey(event) {
    if (!shell.isConnected) {
      document.removeEventListener('keydown', onKey);
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      search.open();
    } else if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) {
      if (state.drawer) drawer(false);
      else if (state.panel) togglePanel(false);
    }
  }

  document.addEventListener('keydown', onKey);
  NARROW.addEventListener('change', layOut);
  layOut();
  panel.hidden = true;
  return shell;
}
