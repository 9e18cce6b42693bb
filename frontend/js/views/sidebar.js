// The list of conversations: pinned ones first, archived ones folded away.

import { h, icon, iconButton, mark, shortTime } from '../dom.js';
import { waitingElsewhere } from '../file-state.js';
import { MODES } from '../memory-state.js';
import { read, write } from '../storage.js';
import { saveTranscript } from '../transcript.js';
import { confirmed } from './confirm.js';
import { ALT, CTRL } from './keys.js';
import { say } from './notices.js';
import { openMenu } from './menu.js';

export function sessionTitle(state, session) {
  if (session?.title) return session.title;
  return session?.id === state.defaultId ? 'The long conversation' : 'New conversation';
}

export function createSidebar(store, chat, { go, logout, openSearch, openKeys, openPanel, closeDrawer }) {
  const { state } = store;
  let renaming = null;
  let menuFor = null;
  let shownFor = null; // the conversation that was brought into sight
  let elsewhere = new Map(); // calls that wait for the owner's word, by conversation
  const list = h('div', { class: 'session-list' });
  const theme = themeButton();
  const el = h('nav', { class: 'sidebar', 'aria-label': 'Conversations' },
    h('div', { class: 'sidebar-top' },
      mark('small'),
      h('span', { class: 'wordmark' }, 'Mira'),
      iconButton('close', 'Close the list', { class: 'drawer-close', onclick: closeDrawer })),
    h('div', { class: 'sidebar-actions' },
      h('button', { type: 'button', class: 'wide', testid: 'new-session', onclick: create }, icon('plus'), 'New conversation', h('kbd', {}, `${ALT} N`)),
      h('button', { type: 'button', class: 'wide', testid: 'search', onclick: find }, icon('search'), 'Search', h('kbd', {}, `${CTRL} K`)),
      h('button', { type: 'button', class: 'wide', testid: 'open-projects', 'aria-haspopup': 'dialog', onclick: () => panel('projects') }, icon('folder'), 'Projects', h('kbd', {}, `${ALT} P`)),
      h('button', { type: 'button', class: 'wide', testid: 'open-files', 'aria-haspopup': 'dialog', onclick: () => panel('files') }, icon('clip'), 'Files', h('kbd', {}, `${ALT} L`)),
      h('button', { type: 'button', class: 'wide', testid: 'open-abilities', 'aria-haspopup': 'dialog', onclick: () => panel('abilities') }, icon('spark'), 'What she can do')),
    list,
    h('div', { class: 'sidebar-foot' },
      theme,
      iconButton('keys', 'Keys', { class: 'keys-button', testid: 'open-keys', 'aria-haspopup': 'dialog', title: `Keys (${CTRL} /)`, onclick: openKeys }),
      h('span', { class: 'spacer' }),
      h('button', { type: 'button', class: 'quiet small', testid: 'logout', onclick: logout }, icon('leave'), 'Log out')));

  async function attempt(action) {
    try {
      await action();
    } catch (problem) {
      say(problem.detail || problem.title);
    }
  }

  function create() {
    return attempt(async () => {
      await chat.createSession();
      closeDrawer();
      document.getElementById('composer')?.focus();
    });
  }

  function panel(name) {
    closeDrawer();
    openPanel(name);
  }

  function find() {
    closeDrawer();
    openSearch();
  }

  function menu(session, button) {
    menuFor = session.id;
    const isDefault = session.id === state.defaultId;
    openMenu(button, [
      { icon: 'edit', label: 'Rename', testid: 'session-rename', run: () => startRename(session.id) },
      { icon: 'pin', label: session.pinned ? 'Unpin' : 'Pin', testid: 'session-pin', run: () => attempt(() => chat.updateSession(session.id, { pinned: !session.pinned })) },
      !isDefault && { icon: 'archive', label: session.archived ? 'Bring back' : 'Archive', testid: 'session-archive', run: () => attempt(() => chat.updateSession(session.id, { archived: !session.archived })) },
      ...MODES.map((mode) => ({
        icon: mode.value === 'off' ? 'off' : 'memory',
        label: mode.value === 'off' ? mode.label : `Memory: ${mode.label.toLowerCase()}`,
        testid: `session-memory-${mode.value}`,
        checked: (session.memory || 'on') === mode.value,
        run: () => attempt(() => chat.updateSession(session.id, { memory: mode.value })),
      })),
      { icon: 'download', label: 'Save as text', testid: 'session-save', run: () => attempt(() => saveTranscript(session.id, sessionTitle(state, session))) },
      { icon: 'trash', label: isDefault ? 'Clear…' : 'Delete…', testid: 'session-delete', danger: true, run: () => attempt(() => remove(session, isDefault)) },
    ].filter(Boolean), () => {
      menuFor = null;
    });
  }

  async function remove(session, isDefault) {
    const title = sessionTitle(state, session);
    const yes = await confirmed(isDefault
      ? { title: 'Clear this conversation?', text: `Every message in “${title}” goes. The conversation itself stays.`, action: 'Clear it' }
      : { title: 'Delete this conversation?', text: `“${title}” and every message in it go. This cannot be undone.`, action: 'Delete it' });
    if (yes) await chat.deleteSession(session.id);
  }

  function startRename(id) {
    renaming = id;
    draw();
    list.querySelector('input')?.select();
  }

  function renameField(session) {
    const field = h('input', { class: 'rename', value: session.title || '', 'aria-label': 'Name of the conversation', maxlength: '200', testid: 'rename-field' });
    const finish = (keep) => {
      if (renaming !== session.id) return;
      renaming = null;
      const title = field.value.trim();
      if (keep && title && title !== session.title) attempt(() => chat.updateSession(session.id, { title }));
      draw();
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') finish(true);
      else if (event.key === 'Escape') {
        event.preventDefault();
        finish(false);
      }
    });
    field.addEventListener('blur', () => finish(true));
    return field;
  }

  function row(session) {
    const current = session.id === state.sessionId;
    if (renaming === session.id) return h('li', { class: 'session current' }, renameField(session));
    const waits = elsewhere.get(session.id) || 0;
    const unsent = state.outbox.some((entry) => entry.session_id === session.id && entry.state !== 'sent');
    const more = iconButton('more', `More about ${sessionTitle(state, session)}`, {
      class: 'session-more', testid: 'session-menu', 'aria-haspopup': 'menu', onclick: () => menu(session, more),
    });
    return h('li', { class: `session${current ? ' current' : ''}` },
      h('a', {
        href: `#/s/${session.id}`,
        testid: 'session-item',
        'data-session-id': session.id,
        'aria-current': current ? 'page' : null,
        onclick(event) {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          go(session.id);
          closeDrawer();
        },
      },
      h('span', { class: 'session-title' }, session.pinned ? icon('pin') : null, session.memory === 'off' ? h('span', { class: 'session-off', role: 'img', 'aria-label': 'Off the record', title: 'Off the record' }, icon('off')) : null, h('span', {}, sessionTitle(state, session))),
      h('span', { class: 'session-when' }, unsent ? 'not sent yet' : shortTime(session.updated_at),
        waits > 0 ? h('span', { class: 'session-waits', testid: 'session-waits' }, `${waits} ${waits === 1 ? 'waits' : 'wait'} for you`) : null)),
      more);
  }

  // How to find what has the keyboard in a list that was drawn anew.
  function heldPlace() {
    const held = document.activeElement;
    if (!list.contains(held)) return null;
    const id = held.closest('.session')?.querySelector('a')?.dataset.sessionId;
    if (!id) return held.matches('summary') ? '.archive summary' : '.more-sessions';
    return `.session:has([data-session-id="${CSS.escape(id)}"]) ${held.matches('.session-more') ? '.session-more' : 'a'}`;
  }

  function draw() {
    if (renaming && list.contains(document.activeElement) && document.activeElement.matches('.rename')) return;
    const held = menuFor ? null : heldPlace();
    const sorted = state.sessions.toSorted((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
    const top = sorted.filter((s) => !s.archived && s.pinned);
    const rest = sorted.filter((s) => !s.archived && !s.pinned);
    const archived = sorted.filter((s) => s.archived);
    const open = read('archive') === 'open';
    elsewhere = waitingElsewhere(state);
    const parts = [h('ul', { class: 'sessions' }, [...top, ...rest].map(row))];
    if (state.sessionsCursor) {
      parts.push(h('button', { type: 'button', class: 'quiet small more-sessions', testid: 'more-sessions', onclick: () => attempt(chat.moreSessions) }, 'Show older'));
    }
    if (archived.length > 0) {
      parts.push(h('details', { class: 'archive', open, ontoggle: (event) => write('archive', event.target.open ? 'open' : null) },
        h('summary', {}, `Archived (${archived.length})`),
        h('ul', { class: 'sessions' }, archived.map(row))));
    }
    list.replaceChildren(...parts);
    if (held) list.querySelector(held)?.focus({ preventScroll: true });
    const current = list.querySelector('.current');
    if (current && shownFor !== state.sessionId) {
      shownFor = state.sessionId;
      current.scrollIntoView({ block: 'nearest' });
    }
  }

  store.on(['sessions', 'session', 'approvals'], draw);
  draw();
  return { el, create };
}

const THEMES = { auto: ['light', 'auto', 'Colours: as the system'], light: ['dark', 'sun', 'Colours: light'], dark: ['auto', 'moon', 'Colours: dark'] };

function themeButton() {
  const button = iconButton('auto', '', { testid: 'theme', onclick: next });
  function show(theme) {
    const [, name, label] = THEMES[theme];
    button.replaceChildren(icon(name));
    button.title = label;
    button.setAttribute('aria-label', label);
  }
  function next() {
    const theme = THEMES[document.documentElement.dataset.theme || 'auto'][0];
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    write('theme', theme === 'auto' ? null : theme);
    show(theme);
  }
  show(document.documentElement.dataset.theme || 'auto');
  return button;
}
