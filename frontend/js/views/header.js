// Who she is right now: overlay, mood and why, tinted by the overlay's colour; and, quietly, how the
// connection is.

import { h, icon, iconButton, mark, setText, setTint } from '../dom.js';
import { activeTurn } from '../timeline.js';
import { memoryBadge } from '../memory-state.js';
import { openProposals } from '../work-state.js';
import { createWaitsBadge } from './asks.js';
import { ALT } from './keys.js';
import { callPage } from './notices.js';
import { sessionTitle } from './sidebar.js';

const HER_NAME = 'Mira';

export const personaOf = (state, name) => state.personas.find((p) => p.name === name) || (name ? { name, title: name } : null);

export function createHeader(store, { openDrawer, toggle, openSearch, go }) {
  const { state } = store;
  const togglePanel = () => toggle('her');
  const toggleMemory = () => toggle('memory');
  const sigil = mark('medium');
  const name = h('span', { class: 'her-overlay' });
  const mood = h('span', { class: 'her-mood', testid: 'mood' });
  const cause = h('span', { class: 'her-cause', testid: 'mood-cause' });
  const her = h('button', {
    type: 'button', class: 'her', testid: 'persona-button', 'aria-haspopup': 'dialog', onclick: togglePanel,
  },
  sigil,
  h('span', { class: 'her-words' },
    h('span', { class: 'her-top' }, h('span', { class: 'her-name' }, HER_NAME), name),
    h('span', { class: 'her-state' }, mood, cause)));
  const title = h('h1', { class: 'session-heading visually-hidden' });
  const rehearsal = h('button', {
    type: 'button', class: 'rehearsal', testid: 'rehearsal', hidden: true, onclick: togglePanel,
    title: 'No model is connected: a scripted stand-in answers',
  }, 'Rehearsal');
  const badge = h('button', { type: 'button', class: 'record-badge', testid: 'record-badge', hidden: true, 'aria-haspopup': 'dialog', onclick: toggleMemory });
  const memory = iconButton('memory', 'What she remembers', {
    class: 'memory-button', testid: 'memory-button', 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 'Alt+M', title: `What she remembers (${ALT} M)`, onclick: toggleMemory,
  });
  const projectName = h('span', { class: 'project-name', testid: 'session-project' });
  const project = h('button', {
    type: 'button', class: 'project-button', testid: 'projects-button', 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 'Alt+P', title: `Projects (${ALT} P)`, 'aria-label': 'Projects', onclick: () => toggle('projects'),
  }, icon('folder'), projectName);
  const artifacts = iconButton('artifact', 'Artifacts', { testid: 'artifacts-button', 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 'Alt+A', title: `Artifacts (${ALT} A)`, hidden: true, onclick: () => toggle('artifacts') });
  const repos = iconButton('branch', 'Repositories', { class: 'repos-button', testid: 'repos-button', 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 'Alt+G', title: `Repositories (${ALT} G)`, hidden: true, onclick: () => toggle('repos') });
  const workBar = h('div', { class: 'work-bar', role: 'group', 'aria-label': 'Project' }, project, artifacts, repos);
  const link = h('span', { class: 'link-state', role: 'status', testid: 'link' });
  const el = h('header', { class: 'top' },
    iconButton('menu', 'Conversations', { class: 'drawer-open-button', 'data-drawer': true, testid: 'drawer', onclick: openDrawer }),
    title, her, h('span', { class: 'spacer' }), link, createWaitsBadge(store, { go }), workBar, badge, rehearsal, memory,
    iconButton('search', 'Search', { class: 'top-search', onclick: openSearch }));

  function drawHer() {
    const { session } = state;
    const persona = personaOf(state, session?.persona);
    setTint(document.documentElement, persona?.colour);
    // Her everyday self is called as she is: that needs no saying twice.
    setText(name, persona && persona.title !== HER_NAME ? persona.title : '');
    name.classList.toggle('pinned', Boolean(session?.pinned_persona));
    name.title = session?.pinned_persona ? 'You pinned this voice' : 'She chose this voice';
    setText(mood, session?.mood || '');
    setText(cause, session?.mood && state.moodCause ? state.moodCause : '');
    cause.title = state.moodCause || '';
    setText(title, sessionTitle(state, session));
    callPage(session ? sessionTitle(state, session) : null);
  }

  function drawTurn() {
    sigil.classList.toggle('busy', Boolean(activeTurn(state)));
  }

  // Quiet on purpose: a short gap is nobody's business, a longer one is said in a word.
  function drawLink() {
    el.dataset.link = state.link;
    setText(link, state.link === 'offline' ? 'reconnecting…' : '');
  }

  function drawMemory() {
    const words = memoryBadge(state);
    badge.hidden = !words;
    setText(badge, words);
    badge.title = words ? 'How she remembers: change it here' : '';
    memory.classList.toggle('paused', Boolean(words));
    memory.classList.toggle('fresh', state.unseenFacts > 0);
    memory.setAttribute('aria-label', state.unseenFacts > 0 ? `What she remembers, ${state.unseenFacts} new` : 'What she remembers');
  }

  function drawProject() {
    const there = state.project;
    workBar.classList.toggle('with-project', Boolean(there));
    setText(projectName, there?.name || '');
    project.setAttribute('aria-label', there ? `Projects. This conversation belongs to ${there.name || 'one'}` : 'Projects');
    artifacts.hidden = !there;
    repos.hidden = !there;
    const waiting = openProposals(state).length;
    repos.classList.toggle('fresh', waiting > 0);
    repos.setAttribute('aria-label', waiting > 0 ? `Repositories, ${waiting} ${waiting === 1 ? 'proposal waits' : 'proposals wait'}` : 'Repositories');
  }

  function drawHealth() {
    rehearsal.hidden = !state.rehearsal;
  }

  store.on(['session', 'personas'], drawHer);
  store.on(['turn'], drawTurn);
  store.on(['link'], drawLink);
  store.on(['health'], drawHealth);
  store.on(['project', 'proposals'], drawProject);
  store.on(['session', 'memory', 'memories', 'panel'], drawMemory);
  drawHer();
  drawHealth();
  return el;
}
