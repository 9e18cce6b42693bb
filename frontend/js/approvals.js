// The owner's word on what she asks for. Events tell every page what waits; after a start, a reconnect or a sleep, and
// where an event could not hold all of it, the server is asked.

import { approvalApi } from './file-api.js';
import { expire, pending, settle } from './file-state.js';
import { inWords } from './views/form.js';

const SETTLES_MS = 300;
const LATE_MS = 500;
const AGAIN_MS = 5_000; // the server's clock decides, and ours may be ahead of it

export function createApprovals(store, { say, announce }) {
  const { state } = store;
  const answering = new Set();
  let soon = 0;
  let expiry = 0;

  async function refresh() {
    if (state.phase !== 'ready') return;
    const before = pending(state);
    try {
      const { approvals } = await approvalApi.list();
      const listed = new Set(approvals.map((one) => one.id));
      for (const one of before) if (!listed.has(one.id) && !state.settled.has(one.id)) end(one);
      for (const one of approvals) if (!state.settled.has(one.id)) state.approvals.set(one.id, { ...one, whole: true });
      changed();
    } catch {
      // What is known stays; the next event or reconnect tells more.
    }
  }

  // No more among those that wait: answered elsewhere, or its time was over.
  function end(approval) {
    if (approval.session_id === state.sessionId && Date.parse(approval.expires_at) <= Date.now()) expire(state, approval);
    else settle(state, approval.id);
  }

  function changed() {
    store.touch('approvals', 'live', 'thread');
  }

  function refreshSoon() {
    clearTimeout(soon);
    soon = setTimeout(refresh, SETTLES_MS);
  }

  // Nobody tells when the time of one is over whose turn is no more.
  function watchTime() {
    clearTimeout(expiry);
    const ends = pending(state).map((one) => Date.parse(one.expires_at)).filter(Number.isFinite);
    if (ends.length === 0) return;
    const left = Math.min(...ends) - Date.now();
    expiry = setTimeout(refresh, left > -LATE_MS ? left + LATE_MS : AGAIN_MS);
  }

  async function answer(id, yes) {
    if (answering.has(id)) return;
    answering.add(id);
    store.touch('approvals');
    try {
      const told = await (yes ? approvalApi.approve(id) : approvalApi.deny(id));
      settle(state, id);
      announce(yes ? 'Allowed.' : 'Refused.');
      if (told?.outcome) say(told.outcome.status === 'ok' ? 'Allowed, and done.' : 'Allowed, but it came to nothing.');
    } catch (problem) {
      if (problem.status === 409 || problem.status === 404) settle(state, id);
      say(problem.status === 409 ? 'That was answered already, or its time was over.' : inWords(problem));
      refreshSoon();
    } finally {
      answering.delete(id);
      changed();
    }
  }

  // One that has expired was seen.
  function dismiss(id) {
    settle(state, id);
    changed();
  }

  function onVisible() {
    if (!document.hidden) refreshSoon();
  }

  store.on(['greeted', 'approvals-stale'], refreshSoon);
  store.on(['approvals'], watchTime);
  document.addEventListener('visibilitychange', onVisible);
  return {
    answer,
    dismiss,
    isAnswering: (id) => answering.has(id),
    leave() {
      clearTimeout(expiry);
      clearTimeout(soon);
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}
