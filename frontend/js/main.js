// Boot: login link, login, first data, routes. Nothing here draws; the views do.

import { api, onUnauthorised } from './api.js';
import { createStore } from './store.js';
import { createChat } from './chat.js';
import { createApprovals } from './approvals.js';
import { createKnownFiles } from './files.js';
import { createMemories } from './memories.js';
import { createUploads } from './uploads.js';
import { createWork } from './work.js';
import { createLogin } from './views/login.js';
import { keepAboveKeyboard } from './viewport.js';
import { createShell } from './views/shell.js';
import { announce, callPage, say } from './views/notices.js';
import { forgetAll, read } from './storage.js';
import { h, mark, setTint } from './dom.js';

const store = createStore();
const { state } = store;
const root = document.getElementById('app');
let chat = null;
let approvals = null;

function route() {
  const match = /^#\/s\/([a-z0-9_-]{1,64})$/.exec(location.hash);
  return match ? match[1] : null;
}

function go(id) {
  const hash = id && id !== state.defaultId ? `#/s/${id}` : '';
  if (location.hash !== hash) history.pushState(null, '', hash || location.pathname + location.search);
  return follow();
}

function follow(options) {
  if (state.phase !== 'ready') return Promise.resolve();
  return chat.open(route() || state.defaultId, options);
}

// The code stands in the fragment, which no server or log sees; it leaves the address at once.
async function useLoginLink() {
  const match = /^#login=(.+)$/.exec(location.hash);
  if (!match) return;
  history.replaceState(null, '', location.pathname + location.search);
  try {
    await api.login({ code: decodeURIComponent(match[1]) });
  } catch (problem) {
    state.loginProblem = problem;
  }
}

function showLogin() {
  if (state.phase === 'login') return;
  chat?.leave();
  approvals?.leave();
  store.reset();
  state.phase = 'login';
  callPage(null);
  setTint(document.documentElement, null);
  root.replaceChildren(createLogin(store, enter));
}

async function logout() {
  await api.logout().catch(() => {});
  forgetAll();
  showLogin();
}

async function enter() {
  const next = createChat(store, { say, announce, go });
  const [, { personas }] = await Promise.all([next.loadSessions(), api.personas()]);
  chat = next;
  state.phase = 'ready';
  state.loginProblem = null;
  state.personas = personas;
  approvals = createApprovals(store, { say, announce });
  const { refresh } = createKnownFiles(store);
  const uploads = createUploads(store, { say, announce, refresh });
  root.replaceChildren(createShell(store, chat, createMemories(store), createWork(store, chat), { uploads, approvals }, { go, logout }));
  store.touch('sessions', 'personas', 'health');
  // A named session keeps its address; without one the server says which session is the default.
  await chat.open(route());
}

async function readHealth() {
  try {
    const health = await api.health();
    state.model = health.model || null;
    state.version = health.version || null;
    const words = [health.model, health.components?.llm?.status, health.components?.llm?.detail].join(' ');
    state.rehearsal = state.rehearsal || Boolean(health.rehearsal) || /\brehearsal\b/i.test(words);
    store.touch('health');
  } catch {
    // The rest of the page tells when there is no server.
  }
}

async function boot() {
  onUnauthorised(showLogin);
  // Until the server names it: what it was last time, or what it is unless configured otherwise.
  state.defaultId = read('default') || 'eternal';
  await useLoginLink();
  readHealth();
  try {
    await enter();
  } catch (problem) {
    if (problem.status === 401) return;
    showAway(problem);
    setTimeout(boot, 3_000);
  }
}

// She does not answer: said once, and tried again until she does.
function showAway(problem) {
  const words = `${problem.title}. Trying again…`;
  if (root.textContent !== words) root.replaceChildren(h('main', { class: 'login' }, h('div', { class: 'login-card' }, mark('huge'), h('p', { class: 'login-lead', role: 'status', testid: 'away' }, words))));
}

window.addEventListener('popstate', async () => {
  if (!location.hash.startsWith('#login=')) {
    follow();
    return;
  }
  await useLoginLink();
  if (state.phase !== 'ready') location.reload();
});

keepAboveKeyboard();
boot();
