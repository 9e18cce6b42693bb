// What the owner can do with her memory: read, search, add, correct, pin, forget, pause. State lives in
// the store; what other clients do comes in by `memory` events (events.js).

import { api } from './api.js';
import { emptyMemories, keep, lose } from './memory-state.js';
import { createPager } from './paging.js';

const PAGE = 50;
const STATUS_DELAY_MS = 400;

export function createMemories(store) {
  const { state } = store;
  let statusTimer = 0;
  let asked = 0; // how often the status was asked for or set
  let heard = 0; // the latest of them that is known

  // --- the list ------------------------------------------------------------------------------------

  const pager = createPager({
    page: () => state.memories,
    changed: () => store.touch('memories'),
    async read(cursor, signal) {
      const { q, kind } = state.memories;
      const page = await api.memories({ q: q || null, kind: kind || null, limit: PAGE, cursor }, signal);
      return { rows: page.memories.filter((m) => !state.forgotten.has(m.id)), cursor: page.next_cursor };
    },
  });

  // Reads the list anew, by what is looked for and by kind.
  async function search(change = {}) {
    const { q, kind } = { ...state.memories, ...change };
    if (q !== state.memories.q || kind !== state.memories.kind) state.memories = emptyMemories({ q, kind });
    await pager.first();
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

  // What a later question answered, or was changed meanwhile, is newer than the answer.
  async function readStatus() {
    const mine = ++asked;
    try {
      const now = await api.memoryStatus();
      if (mine > heard) {
        state.memory = now;
        heard = mine;
      }
    } catch (problem) {
      // What was known stands; the panel says when nothing is.
      if (problem.status === 401) return;
    }
    store.touch('memory');
  }

  async function pause(paused) {
    const now = await api.pauseMemory(paused);
    heard = ++asked;
    state.memory = now || { ...state.memory, paused };
    store.touch('memory');
  }

  function readStatusSoon() {
    clearTimeout(statusTimer);
    statusTimer = setTimeout(readStatus, STATUS_DELAY_MS);
  }

  // Events of the account are not told again.
  function catchUp() {
    readStatus();
    pager.again({ shown: state.panel === 'memory' });
  }

  store.on(['memory-news'], readStatusSoon);
  store.on(['greeted'], catchUp);
  return { search, loadMore: pager.more, find, add, change, forget, readStatus, pause };
}
