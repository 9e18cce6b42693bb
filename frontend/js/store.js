// The one state of the page, and who is told when a part of it changes. Views never write to it;
// they are told once per frame, however many events came in between.

import { emptyFiles } from './file-state.js';
import { emptyMemory } from './memory-state.js';
import { emptyWork } from './work-state.js';

export function createStore() {
  const listeners = new Map();
  const dirty = new Set();
  let scheduled = false;

  const state = {
    phase: 'boot', // boot | login | ready
    loginProblem: null,
    link: 'connecting', // connecting | online | offline
    rehearsal: false,
    version: null,
    model: null,
    personas: [],
    sessions: [],
    sessionsCursor: null,
    defaultId: null,
    drawer: false,
    panel: null, // null | her | memory | projects | artifacts | repos | files | abilities: the sheet beside the conversation
    outbox: [], // unsent or unacknowledged messages of every session
    ...emptyMemory(),
    ...emptyWork(),
    ...emptyFiles(),
    ...emptySession(),
  };

  function flush() {
    scheduled = false;
    const topics = [...dirty];
    dirty.clear();
    const due = new Set();
    for (const topic of topics) for (const listener of listeners.get(topic) || []) due.add(listener);
    for (const listener of due) listener(state);
  }

  // A hidden tab gets no animation frames, and its title and announcer must still move.
  function schedule() {
    if (scheduled) return;
    scheduled = true;
    if (document.hidden) setTimeout(flush, 50);
    else requestAnimationFrame(flush);
  }

  return {
    state,
    on(topics, listener) {
      for (const topic of topics) {
        if (!listeners.has(topic)) listeners.set(topic, new Set());
        listeners.get(topic).add(listener);
      }
      return () => topics.forEach((topic) => listeners.get(topic).delete(listener));
    },
    touch(...topics) {
      for (const topic of topics) dirty.add(topic);
      if (dirty.size > 0) schedule();
    },
    reset() {
      listeners.clear();
      Object.assign(state, emptySession(), emptyMemory(), emptyWork(), emptyFiles(), { sessions: [], sessionsCursor: null, outbox: [], drawer: false, panel: null });
    },
  };
}

// What belongs to the session on screen and goes with it.
export function emptySession() {
  return {
    sessionId: null,
    session: null,
    moodCause: null,
    path: [], // messages along the chosen branch, oldest first
    cursor: null, // where older messages begin
    loaded: false,
    loadProblem: null,
    loadingOlder: false,
    seq: 0,
    turns: new Map(),
    recalls: new Map(), // what came up for a reply, by its id: { memories, degraded }, null where nothing is known of it; as it happened, or as recalls.js read it
    problems: [], // errors shown in the conversation
    typing: false,
    moods: null,
    target: null, // a message to be scrolled to
    regenerating: null, // the owner's message whose reply was asked for again
    lastSent: null, // type of the last frame sent, for errors that name none
  };
}
