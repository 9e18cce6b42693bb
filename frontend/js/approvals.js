// The owner's word on what she asks for. What waits is told by events of the conversation on screen;
// for the others, and after a reload or a reconnect, the server is asked.

import { approvalApi } from './file-api.js';
import { inWords } from './views/form.js';

const LOOKS_EVERY_MS = 20_000;
const SETTLES_MS = 300;

export function createApprovals(store, { say, announce }) {
  const { state } = store;
  const answering = new Set();
  let timer = 0;
  let soon = 0;
  let wasOnline = false;

  async function refresh() {
    clearTimeout(timer);
    if (state.phase !== 'ready') return;
    if (!document.hidden) {
      try {
        const { approvals } = await approvalApi.list();
        const before = state.approvals;
        state.approvals = new Map(approvals.filter((one) => one.status === 'pending').map((one) => [one.id, one]));
        if (before.size > 0 || state.approvals.size > 0) store.touch('approvals', 'live', 'thread');
      } catch {
        // What is known stays; the next look may find more.
      }
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, LOOKS_EVERY_MS);
  }

  function refreshSoon() {
    clearTimeout(soon);
    soon = setTimeout(refresh, SETTLES_MS);
  }

  async function answer(id, yes) {
    if (answering.has(id)) return;
    answering.add(id);
    store.touch('approvals');
    try {
      const told = await (yes ? approvalApi.approve(id) : approvalApi.deny(id));
      state.approvals.delete(id);
      announce(yes ? 'Allowed.' : 'Refused.');
      if (told?.outcome) say(told.outcome.status === 'ok' ? 'Allowed, and done.' : 'Allowed, but it came to nothing.');
    } catch (problem) {
      if (problem.status === 409 || problem.status === 404) state.approvals.delete(id);
      say(problem.status === 409 ? 'That was answered already, or its time was over.' : inWords(problem));
      refreshSoon();
    } finally {
      answering.delete(id);
      store.touch('approvals', 'live', 'thread');
    }
  }

  function onLink() {
    const online = state.link === 'online';
    if (online && !wasOnline) refreshSoon();
    wasOnline = online;
  }

  function onVisible() {
    if (!document.hidden) refreshSoon();
  }

  store.on(['link'], onLink);
  store.on(['approvals-stale'], refreshSoon);
  document.addEventListener('visibilitychange', onVisible);
  return {
    answer,
    refresh: refreshSoon,
    isAnswering: (id) => answering.has(id),
    leave() {
      clearTimeout(timer);
      clearTimeout(soon);
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}
