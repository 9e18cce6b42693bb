// What came up for replies this page did not see being made: read from their receipts, once and only while they are in
// sight, so that the chips are there after a reload too. Where there is no receipt there are no chips.

import { api } from './api.js';

const READ_AT_ONCE = 2;
const AHEAD = '400px 0px'; // read before it comes into sight, so that what is read does not move

// watch(el): an entry with the id and the status of its reply in `dataset`.
export function createRecalls(store, scroller) {
  const { state } = store;
  const inSight = new Set();
  const reading = new Set();

  const observer = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
    }
    readOn();
  }, { root: scroller, rootMargin: AHEAD });

  function readOn() {
    if (!state.session || state.session.memory === 'off') return;
    for (const { dataset: { messageId: id, status } } of inSight) {
      if (reading.size >= READ_AT_ONCE) return;
      if (id && status && !['live', 'forgotten'].includes(status) && !state.recalls.has(id) && !reading.has(id)) read(id);
    }
  }

  async function read(id) {
    const { recalls } = state; // of the conversation on screen now
    reading.add(id);
    const recall = await api.receipt(id).then(recallOf, () => null);
    reading.delete(id);
    if (!recalls.has(id)) recalls.set(id, recall);
    if (recalls === state.recalls && recall) store.touch('thread');
    readOn();
  }

  // As the event of a turn tells it.
  function recallOf({ used, degraded }) {
    const kept = (used || []).filter((item) => item.text && !state.forgotten.has(item.memory_id));
    return { memories: kept.map(({ memory_id: id, reason: why, ...item }) => ({ ...item, id, why })), degraded: degraded || null };
  }

  store.on(['thread'], readOn);
  return { watch: (el) => observer.observe(el) };
}
