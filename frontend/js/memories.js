// What the owner can do with her memory: read, search, add, correct, pin, forget, pause. State lives in
// the store; what other clients do comes in by `memory` events (events.js).

import { api } from './api.js';
import { emptyMemories, keep, lose } from './memory-state.js';

const PAGE = 50;
const STATUS_DELAY_MS = 400;

export function createMemories(store) {
  const { state } = store;
  let asked = null;
  let statusTimer = 0;
  let wasOnline = false;

  // --- the list ------------------------------------------------------------------------------------

  // Reads the list anew, by what is looked for and by kind.
  async function search(change = {}) {
    const kept = { q: state.memories.q, kind: state.memories.kind, ...change };
    const same = kept.q === state.memories.q && kept.kind === state.memories.kind;
    state.memories = { ...emptyMemories(), ...kept, list: same ? state.memories.list : [] };
    await read(false);
  }

  async function loadMore() {
    if (state.memories.cursor && !state.memories.loading) await read(true);
  }

  async function read(more) {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    const { memories } = state;
    memories.loading = true;
    store.touch('memories');
    try {
      const page = await api.memories({ q: memories.q || null, kind: memories.kind || null, limit: PAGE, cursor: more ? memories.cursor : null }, mine.signal);
      const rows = page.memories.filter((m) => !state.forgotten.has(m.id));
      const ids = new Set(rows.map((m) => m.id));
      Object.assign(memories, {
        list: more ? [...memories.list.filter((m) => !ids.has(m.id)), ...rows] : rows,
        cursor: page.next_cursor,
        loaded: true,
        problem: null,
      });
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      memories.problem = problem;
    }
    memories.loading = false;
    store.touch('memories');
  }

  // --- one memory ----------------------------------------------------------------------------------

  // Null where it is forgotten.
  async function find(id) {
    if (state.forgotten.has(id)) return null;
    try {
      return await api.memory(id);
    } catch (problem) {
      if (problem.status === 404) return null;
      throw problem;
    }
  }

  async function add(fact) {
    const memory = await api.addMemory(fact);
    keep(state, memory, { fresh: true });
    store.touch('memories', 'memory-news');
    return memory;
  }

  async function change(id, values) {
    const memory = await api.changeMemory(id, values);
    keep(state, memory);
    store.touch('memories', 'memory-news', 'thread', 'live');
    return memory;
  }

  async function forget(id) {
    if (state.forgotten.has(id)) return;
    await api.forgetMemory(id);
    lose(state, id);
    store.touch('memories', 'memory-news', 'thread', 'live', 'forgotten');
  }

  // --- the whole of it -----------------------------------------------------------------------------

  async function readStatus() {
    try {
      state.memory = await api.memoryStatus();
    } catch (problem) {
      // What was known stands; the panel says when nothing is.
      if (problem.status === 401) return;
    }
    store.touch('memory');
  }

  async function pause(paused) {
    state.memory = (await api.pauseMemory(paused)) || { ...state.memory, paused };
    store.touch('memory');
  }

  function readStatusSoon() {
    clearTimeout(statusTimer);
    statusTimer = setTimeout(readStatus, STATUS_DELAY_MS);
  }

  // Account-wide events are not replayed: after a reconnect everything is read again.
  function onLink() {
    const online = state.link === 'online';
    if (online && !wasOnline) {
      readStatus();
      if (state.memories.loaded) search();
    }
    wasOnline = online;
  }

  store.on(['memory-news'], readStatusSoon);
  store.on(['link'], onLink);
  return { search, loadMore, find, add, change, forget, readStatus, pause };
}
