// What the owner can do to a conversation, and the life of the one on screen: history first, then
// the socket from the history's seq on, so that nothing is missed and nothing comes twice.

import { api, comesAgain, socketAddress } from './api.js';
import { connect } from './socket.js';
import { applyEvent } from './events.js';
import { emptySession } from './store.js';
import { caughtUp, readPages } from './paging.js';
import { activeTurn, newTurn } from './timeline.js';
import { dropUnsent, keepUnsent, listUnsent, write } from './storage.js';
import { uuid } from './dom.js';

const PAGE = 50;
const SESSIONS = 100;
const FAR_PAGE = 200; // page size when looking for a message far back
const TYPING_EVERY_MS = 3_000;
const TYPING_FADES_MS = 8_000;
const HEAD_SETTLES_MS = 300;
const REOPEN_MS = 3_000;
const FRAME_BYTES = 1024 * 1024; // a longer one ends the connection, at every new try
const TOO_LONG = { title: 'Too long', detail: 'This is longer than a message can be. Send it as a file instead.' };
const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// say(text): a short notice. announce(text): for screen readers. go(id): show another session.
export function createChat(store, { say, announce, go }) {
  const { state } = store;
  let link = null;
  let opening = 0;
  let refetching = null;
  let held = null; // frames that arrived during a refetch
  let typingSent = 0;
  let openedDefault = false; // the session reached without naming one is the default
  let greetings = 0;
  let typingFade = 0;
  let reopening = 0;

  state.outbox = listUnsent();

  // --- opening and reading -------------------------------------------------------------------

  // id null is the default session, whose name only the server knows. again: a further try, which is told of once.
  async function open(id, { target = null, again = null } = {}) {
    if (id && id === state.sessionId && state.loaded) {
      if (target) await reach(target);
      return;
    }
    leave();
    const mine = ++opening;
    openedDefault = !id;
    greetings = 0;
    Object.assign(state, emptySession(), { sessionId: id, session: state.sessions.find((s) => s.id === id) || null, loadProblem: again });
    store.touch('thread', 'session', 'sessions', 'turn', 'typing', 'moods');
    try {
      const page = await api.history({ session_id: id, limit: PAGE });
      if (mine !== opening) return;
      adopt(page);
    } catch (problem) {
      if (mine !== opening || problem.status === 401) return;
      if (problem.status === 404 && id) {
        if (id === state.defaultId) state.defaultId = null;
        else say('That conversation is gone.');
        go(null);
        return;
      }
      state.loadProblem = again?.title === problem.title ? again : problem;
      store.touch('thread');
      if (comesAgain(problem)) {
        state.link = 'offline';
        store.touch('link');
        reopening = setTimeout(() => mine === opening && open(id, { target, again: state.loadProblem }), REOPEN_MS);
      }
      return;
    }
    listen(id);
    if (target) await reach(target);
  }

  function leave() {
    if (link) link.close();
    link = null;
    clearTimeout(reopening);
    clearTimeout(typingFade);
  }

  function adopt(page) {
    state.path = page.messages;
    state.cursor = page.next_cursor;
    state.seq = Math.max(page.seq || 0, 0);
    state.loaded = true;
    state.loadProblem = null;
    state.sessionId = state.sessionId || page.messages.at(-1)?.session_id || null;
    state.turns = new Map();
    if (page.active_turn) joinTurn(page.active_turn);
    const reply = page.messages.findLast((m) => m.mood_cause);
    if (reply && (!state.session?.mood || state.session.mood === reply.mood)) state.moodCause = reply.mood_cause;
    store.touch('thread', 'session', 'turn', 'live');
  }

  // A reply that was being written when the history was read.
  function joinTurn(active) {
    const turn = newTurn(active.turn_id);
    turn.messageId = active.message_id || null;
    turn.content = active.content || '';
    turn.stage = turn.content ? null : 'thinking';
    turn.calls = active.tool_calls || [];
    turn.citations = active.citations || [];
    state.turns.set(turn.id, turn);
  }

  function listen(id) {
    link = connect({
      address: () => socketAddress({ session_id: state.sessionId || id, after: state.seq, render: 'html' }),
      onFrame: receive,
      onState(next) {
        state.link = next;
        store.touch('link');
      },
      // A refused upgrade hides its status from the page: a plain request finds a lost login.
      onRefused: () => api.sessions({ limit: 1 }).catch(() => {}),
      onLoginEnded: () => api.sessions({ limit: 1 }).catch(() => {}),
    });
  }

  // Reads the newest page again, keeping the socket. What arrives meanwhile is held back and applied
  // on top of the page: events it already holds fall out by their seq.
  function refetch() {
    refetching = refetching || readAgain().finally(() => {
      refetching = null;
    });
    return refetching;
  }

  async function readAgain() {
    const mine = opening;
    const limit = Math.max(PAGE, Math.min(FAR_PAGE, state.path.length));
    held = [];
    try {
      const page = await api.history({ session_id: state.sessionId, limit });
      if (mine === opening) adopt(page);
      store.touch('files-stale');
    } catch (problem) {
      if (problem.status !== 401 && mine === opening) setTimeout(refetch, 2_000);
    }
    const missed = held;
    held = null;
    if (mine === opening) missed.forEach(receive);
  }

  async function loadOlder(limit = PAGE) {
    if (!state.cursor || state.loadingOlder) return false;
    const mine = opening;
    state.loadingOlder = true;
    store.touch('thread');
    try {
      const page = await api.history({ session_id: state.sessionId, limit, cursor: state.cursor });
      if (mine !== opening) return false;
      const known = new Set(state.path.map((m) => m.id));
      state.path = [...page.messages.filter((m) => !known.has(m.id)), ...state.path];
      state.cursor = page.next_cursor;
      store.touch('files-stale');
      return true;
    } catch {
      return false;
    } finally {
      if (mine === opening) {
        state.loadingOlder = false;
        store.touch('thread');
      }
    }
  }

  // Brings one message onto the screen, however far back it is.
  async function reach(messageId) {
    const mine = opening;
    const found = () => state.path.some((m) => m.id === messageId);
    while (!found() && mine === opening && (await loadOlder(FAR_PAGE)));
    if (mine !== opening) return;
    if (found()) {
      state.target = messageId;
      store.touch('thread');
    } else {
      say('That message is on another branch of this conversation.', { label: 'Show it', run: () => select(messageId, { target: messageId }) });
    }
  }

  // Shows a message, whichever conversation it was said in.
  async function show(messageId, sessionId = null) {
    try {
      if (!state.path.some((m) => m.id === messageId)) {
        const home = sessionId || (await api.message(messageId)).session_id;
        if (home !== state.sessionId) await go(home);
      }
      await reach(messageId);
    } catch (problem) {
      say(problem.status === 404 ? 'That message is gone.' : problem.detail || problem.title);
    }
  }

  // --- receiving -----------------------------------------------------------------------------

  function receive(frame) {
    if (held) {
      held.push(frame);
      return;
    }
    const out = applyEvent(state, frame);
    if (out.greeted) greeted();
    for (const clientId of out.settled) dropUnsent(clientId);
    if (out.announce) announce(out.announce);
    if (out.notice) {
      say(out.notice.detail || out.notice.title);
      store.touch('refused');
    }
    if (frame.type === 'typing') fadeTyping();
    if (out.removed) {
      say('That conversation was deleted.');
      go(null);
      return;
    }
    if (out.refetch) refetch();
    else if (out.recheckHead) setTimeout(recheckHead, HEAD_SETTLES_MS);
    store.touch(...out.topics);
  }

  function greeted() {
    if (openedDefault && state.defaultId !== state.sessionId) {
      state.defaultId = state.sessionId;
      write('default', state.sessionId);
      store.touch('sessions');
    }
    for (const entry of state.outbox) if (entry.session_id === state.sessionId && entry.state !== 'failed') transmit(entry);
    // Account-wide events are not replayed: after a reconnect the lists are read again.
    if (greetings > 0) loadSessions().catch(() => {});
    greetings += 1;
  }

  // A head that no event of a turn explains: another client chose another branch, or cleared.
  function recheckHead() {
    const head = state.session?.head_id;
    const shown = head ? state.path.some((m) => m.id === head) : state.path.length === 0;
    if (!shown && state.turns.size === 0 && state.loaded) refetch();
  }

  function fadeTyping() {
    clearTimeout(typingFade);
    typingFade = setTimeout(() => {
      state.typing = false;
      store.touch('typing');
    }, TYPING_FADES_MS);
  }

  // --- saying --------------------------------------------------------------------------------

  function frame(value) {
    if (!link || state.link !== 'online') return false;
    if (value.type !== 'typing') state.lastSent = value.type;
    return link.send(value);
  }

  function fits(value) {
    const text = JSON.stringify(value);
    return text.length * 3 <= FRAME_BYTES || new TextEncoder().encode(text).length <= FRAME_BYTES;
  }

  // For actions that make no sense later: they are refused while there is no connection.
  function act(value) {
    if (frame(value)) return true;
    say('Not connected at the moment. Try again in a second.');
    return false;
  }

  // metadata: the place in a file it is about. files: what goes with it, stored already.
  function send(content, { metadata = null, files = [] } = {}) {
    const entry = { client_id: uuid(), session_id: state.sessionId, content, metadata, files, created_at: new Date().toISOString(), state: 'waiting' };
    state.outbox = [...state.outbox, entry];
    keepUnsent(entry);
    transmit(entry);
    typingSent = 0;
    store.touch('thread');
  }

  function transmit(entry) {
    const value = {
      type: 'chat', session_id: entry.session_id, content: entry.content, client_id: entry.client_id, tz: timeZone,
      ...(entry.metadata ? { metadata: entry.metadata } : {}),
      ...(entry.files?.length > 0 ? { file_ids: entry.files.map(({ id }) => id) } : {}),
    };
    if (fits(value)) Object.assign(entry, { state: frame(value) ? 'sent' : 'waiting', error: null });
    else Object.assign(entry, { state: 'failed', error: TOO_LONG, retryable: false });
  }

  function resend(clientId) {
    const entry = state.outbox.find((e) => e.client_id === clientId);
    if (entry) transmit(entry);
    store.touch('thread');
  }

  function discard(clientId) {
    const entry = state.outbox.find((e) => e.client_id === clientId);
    state.outbox = state.outbox.filter((e) => e !== entry);
    dropUnsent(clientId);
    store.touch('thread');
    return { content: entry?.content || '', files: entry?.files || [] };
  }

  function stop() {
    const turn = activeTurn(state);
    return act(turn ? { type: 'stop', turn_id: turn.id } : { type: 'stop' });
  }

  function regenerate(messageId) {
    const message = state.path.find((m) => m.id === messageId);
    if (!act({ type: 'regenerate', message_id: messageId, tz: timeZone })) return false;
    state.regenerating = message?.role === 'user' ? messageId : message?.parent_id || null;
    state.problems = [];
    store.touch('thread');
    return true;
  }

  // files: ids of those that go with it; null keeps those of the message.
  function edit(messageId, content, files = null) {
    const value = { type: 'edit', message_id: messageId, content, tz: timeZone, ...(files ? { file_ids: files } : {}) };
    if (fits(value)) return act(value);
    say(TOO_LONG.detail);
    return false;
  }

  function select(messageId, { target = null } = {}) {
    if (!act({ type: 'select', message_id: messageId })) return;
    // The change is announced by a `session` event; the timer is for a branch that was chosen already.
    setTimeout(async () => {
      await refetch();
      if (target) await reach(target);
    }, 250);
  }

  const pin = (persona) => act({ type: 'switch_persona', persona });
  const nudge = (mood) => act({ type: 'switch_persona', mood });

  function typing(active) {
    const now = Date.now();
    if (active && now - typingSent < TYPING_EVERY_MS) return;
    if (!active && typingSent === 0) return;
    typingSent = active ? now : 0;
    frame({ type: 'typing', active });
  }

  async function loadMoods() {
    const mine = opening;
    if (!state.sessionId) return;
    const page = await api.moods(state.sessionId, { limit: 50 });
    if (mine !== opening) return;
    state.moods = page.moods;
    store.touch('moods');
  }

  // --- the list of sessions ------------------------------------------------------------------

  // before: what a session read now may take the place of; nothing where the list goes on.
  async function loadSessions({ cursor = null, before = state.sessions } = {}) {
    const read = async (from) => {
      const page = await api.sessions({ limit: SESSIONS, cursor: from });
      return { rows: page.sessions, cursor: page.next_cursor };
    };
    const page = await readPages(read, { cursor, least: before.length });
    state.sessions = caughtUp(before, state.sessions, page.rows);
    state.sessionsCursor = page.cursor;
    store.touch('sessions');
  }

  const moreSessions = () => loadSessions({ cursor: state.sessionsCursor, before: [] });

  async function updateSession(id, change) {
    const session = await api.updateSession(id, change);
    receive({ type: 'session', action: 'updated', object: session || { id, ...change } });
  }

  async function createSession(fields = {}) {
    const session = await api.createSession(fields);
    receive({ type: 'session', action: 'created', object: session });
    go(session.id);
  }

  async function deleteSession(id) {
    await api.deleteSession(id);
    if (id !== state.defaultId) {
      state.sessions = state.sessions.filter((s) => s.id !== id);
      store.touch('sessions');
      if (id === state.sessionId) go(null);
    } else if (id === state.sessionId) {
      state.problems = [];
      await refetch();
    }
  }

  return {
    open, leave, loadOlder, refetch, reach, show,
    send, resend, discard, stop, regenerate, edit, select, pin, nudge, typing, loadMoods,
    loadSessions, moreSessions, updateSession, createSession, deleteSession,
  };
}
