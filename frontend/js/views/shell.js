// The frame of the page: sidebar, header, conversation, composer, the panels; and the keys that work
// everywhere.

import { h } from '../dom.js';
import { activeTurn } from '../timeline.js';
import { createAbilitiesPanel } from './abilities.js';
import { createAskBar } from './asks.js';
import { takeDrops } from './attach.js';
import { createFilesPanel } from './files.js';
import { openLightbox } from './lightbox.js';
import { createSidebar } from './sidebar.js';
import { createHeader } from './header.js';
import { openKeys } from './keys.js';
import { createThread } from './thread.js';
import { createComposer } from './composer.js';
import { createArtifactsPanel } from './artifacts.js';
import { createMemoryPanel } from './memory.js';
import { askToForget, inWords } from './memory-card.js';
import { hush, say } from './notices.js';
import { createPanel } from './panel.js';
import { createProjectsPanel } from './projects.js';
import { createReceipt } from './receipt.js';
import { createReposPanel } from './repos.js';
import { createSearch } from './search.js';

const NARROW = matchMedia('(max-width: 860px)');

// Alt and this key opens and closes a panel; the button in the header that does the same gets the focus
// back when what opened it is gone.
const PANELS = {
  her: { button: 'persona-button' },
  memory: { key: 'KeyM', button: 'memory-button' },
  projects: { key: 'KeyP', button: 'projects-button' },
  artifacts: { key: 'KeyA', button: 'artifacts-button' },
  repos: { key: 'KeyG', button: 'repos-button' },
  files: { key: 'KeyL', button: 'drawer' },
  abilities: { button: 'drawer' },
};

export function createShell(store, chat, memories, work, { uploads, approvals }, { go, logout }) {
  const { state } = store;
  const search = createSearch(store, chat, { go });
  const sidebar = createSidebar(store, chat, { go, logout, openSearch: () => search.open(), openKeys, openPanel: (name) => openPanel(name), closeDrawer: () => drawer(false) });
  const receipt = createReceipt(store, chat, memories);
  const close = () => openPanel(null);
  const repos = createReposPanel(store, chat, work, { close, open: openPanel, show: showMessage, ask: askAbout });
  const files = createFilesPanel(store, { close, openPicture: openLightbox });
  const panels = {
    her: createPanel(store, chat, { close }),
    memory: createMemoryPanel(store, chat, memories, { close, show: showMessage }),
    projects: createProjectsPanel(store, chat, work, { close, open: openPanel }),
    artifacts: createArtifactsPanel(store, work, { close, open: openPanel, show: showMessage }),
    repos: repos.el,
    files: files.el,
    abilities: createAbilitiesPanel(store, { close }),
  };
  const header = createHeader(store, { openDrawer: () => drawer(true), toggle, openSearch: () => search.open(), go });
  const tools = {
    store,
    memories,
    approvals,
    openFile,
    openPicture: openLightbox,
    openArtifact,
    openProposals: (repoId) => inRepos('showProposals', repoId),
    openRepoFile: (repoId, path, line) => inRepos('showFile', repoId, path, line),
    openCommit: (repoId, sha) => inRepos('showCommit', repoId, sha),
  };
  const thread = createThread(store, chat, { openReceipt: receipt.open, forget: forgetMessage, tools, uploads });
  const composer = createComposer(store, chat, uploads, { editLast: () => thread.editLast(), turnPage: (by) => thread.turnPage(by), openPicture: openLightbox });
  const askBar = createAskBar(store, approvals);
  const scrim = h('div', { class: 'scrim', onclick: () => drawer(false) });
  const main = h('div', { class: 'stage' }, header, thread.el, askBar, composer.el);
  takeDrops(main, uploads);
  const shell = h('div', { class: 'shell' },
    h('a', { class: 'skip-link', href: '#composer', onclick: skip }, 'Skip to the message field'),
    sidebar.el, scrim, main, ...Object.values(panels), search.el, receipt.el);
  let opener = null; // what opened the panel, and gets the focus back

  function skip(event) {
    event.preventDefault();
    composer.focus();
  }

  function drawer(open) {
    state.drawer = open;
    shell.classList.toggle('drawer-open', open);
    layOut();
    if (open) sidebar.el.querySelector('button, a')?.focus();
    else if (NARROW.matches) header.querySelector('[data-drawer]')?.focus();
  }

  function toggle(name) {
    openPanel(state.panel === name ? null : name);
  }

  function openArtifact(id) {
    if (state.panel !== 'artifacts') openPanel('artifacts');
    work.openArtifact(id);
  }

  function openFile(file, page, passage = null) {
    if (state.panel !== 'files') openPanel('files');
    files.openDocument(file, page, passage);
  }

  function inRepos(what, ...where) {
    if (state.panel !== 'repos') openPanel('repos');
    return repos[what](...where);
  }

  // The next message is about this place in a file.
  function askAbout(place) {
    state.focusFile = place;
    store.touch('focus-file');
    if (NARROW.matches) openPanel(null);
    composer.focus();
  }

  function openPanel(name) {
    const before = state.panel;
    if (before === 'files') state.document = null;
    if (!before) opener = document.activeElement;
    if (NARROW.matches && state.drawer) drawer(false);
    state.panel = name;
    for (const [key, panel] of Object.entries(panels)) panel.hidden = key !== name;
    shell.classList.toggle('panel-open', Boolean(name));
    layOut();
    store.touch('panel');
    if (name) panels[name].querySelector('.panel-top button:not([hidden])')?.focus();
    else (opener?.isConnected && opener !== document.body ? opener : header.querySelector(`[data-testid=${PANELS[before]?.button}]`))?.focus();
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
    sidebar.el.inert = NARROW.matches && (!state.drawer || covered);
    main.inert = NARROW.matches && (state.drawer || covered);
    for (const panel of Object.values(panels)) panel.setAttribute('aria-modal', String(NARROW.matches));
  }

  // What is typed or pasted while nothing has the keyboard is meant for her.
  function isForTheField({ key, altKey, ctrlKey, metaKey }) {
    const idle = [document.body, thread.scroller].includes(document.activeElement) && !main.inert && !document.querySelector('dialog[open], .menu');
    const typed = key.length === 1 && key !== ' ' && !altKey && !ctrlKey && !metaKey;
    return idle && (typed || ((ctrlKey || metaKey) && key.toLowerCase() === 'v'));
  }

  const isAlone = (event) => event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;

  function panelOf(event) {
    if (!isAlone(event)) return null;
    return Object.keys(PANELS).find((name) => PANELS[name].key === event.code) || null;
  }

  function onKey(event) {
    if (!shell.isConnected) {
      document.removeEventListener('keydown', onKey);
      return;
    }
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      search.open();
    } else if (command && event.key === '/' && !document.querySelector('dialog[open]')) {
      event.preventDefault();
      openKeys();
    } else if (event.code === 'KeyN' && isAlone(event) && !document.querySelector('dialog[open]')) {
      event.preventDefault();
      sidebar.create();
    } else if (panelOf(event) && !document.querySelector('dialog[open]')) {
      event.preventDefault();
      toggle(panelOf(event));
    } else if (isForTheField(event)) {
      composer.focus();
    } else if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) {
      if (state.drawer) drawer(false);
      else if (state.panel) openPanel(null);
      else if (activeTurn(state) && !event.isComposing) chat.stop();
    }
  }

  store.on(['forgotten'], hush);
  document.addEventListener('keydown', onKey);
  NARROW.addEventListener('change', layOut);
  layOut();
  for (const panel of Object.values(panels)) panel.hidden = true;
  return shell;
}
