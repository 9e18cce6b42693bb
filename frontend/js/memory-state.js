// What the page knows of her memory, and how it changes. Pure functions over the store's state; the
// server is asked in memories.js.

import { emptyPage } from './paging.js';

// The list is newest first, or as the server found it. kind: fact | message | summary | '' for all.
export const emptyMemories = (asked = {}) => emptyPage({ q: '', kind: 'fact', ...asked });

// What belongs to the owner, whichever conversation is on screen.
export function emptyMemory() {
  return {
    memory: null, // paused, counts, health of the index; null while unknown
    memories: emptyMemories(),
    unseenFacts: 0, // learnt while the memory panel was closed
    forgotten: new Set(), // ids; an answer that was under way must not bring them back
  };
}

// A memory was learnt, changed or read again.
export function keep(state, memory, { fresh = false } = {}) {
  if (state.forgotten.has(memory.id)) return;
  const { memories } = state;
  const at = memories.list.findIndex((m) => m.id === memory.id);
  if (at >= 0) memories.list = memories.list.with(at, { ...memories.list[at], ...memory });
  else if (fresh && belongs(memories, memory)) memories.list = [memory, ...memories.list];
  changeRecalled(state, memory.id, (known) => ({ ...known, text: memory.text ?? known.text }));
}

// A new memory shows up in a list that is not the answer to a question.
const belongs = (memories, memory) => memories.loaded && !memories.q && (!memories.kind || memories.kind === memory.kind);

// A memory was forgotten: it leaves everything the page holds. A message keeps its place, without words;
// answers whether it was one of those on screen, because what replies noted about it goes along.
export function lose(state, id) {
  state.forgotten.add(id);
  state.memories.list = state.memories.list.filter((m) => m.id !== id);
  changeRecalled(state, id, () => null);
  const said = state.path.some((m) => m.id === id);
  if (said) {
    state.path = state.path.map((m) => (m.id === id ? { ...m, status: 'forgotten', content: '', html: '' } : m));
    state.moodCause = null;
    state.moods = null;
  }
  return said;
}

function changeRecalled(state, id, change) {
  const changed = (recall) => {
    if (!recall?.memories.some((m) => m.id === id)) return recall;
    return { ...recall, memories: recall.memories.map((m) => (m.id === id ? change(m) : m)).filter(Boolean) };
  };
  for (const [messageId, recall] of state.recalls) state.recalls.set(messageId, changed(recall));
  for (const turn of state.turns.values()) turn.recall = changed(turn.recall);
}

// A fact stands with what it replaced, newest first: [{ memory, was: [memory] }].
export function groups(list) {
  const byId = new Map(list.map((m) => [m.id, m]));
  const out = new Map();
  const headOf = (memory) => {
    const seen = new Set();
    let head = memory;
    while (byId.has(head.superseded_by) && !seen.has(head.id)) {
      seen.add(head.id);
      head = byId.get(head.superseded_by);
    }
    return head;
  };
  for (const memory of list) {
    const head = headOf(memory);
    if (!out.has(head.id)) out.set(head.id, { memory: head, was: [] });
    if (head !== memory) out.get(head.id).was.push(memory);
  }
  return [...out.values()];
}

// --- in words ----------------------------------------------------------------------------------------

const NAMES = new Map([['owner', 'you'], ['mira', 'Mira']]);
const OWN_NAMES = new Set(['', 'you', 'me', 'i', 'myself']);

export const nameOf = (about) => NAMES.get(about) || about || '';

// What an owner writes into the field: an empty one means themselves.
export const aboutOf = (name) => (OWN_NAMES.has(name.trim().toLowerCase()) ? 'owner' : name.trim());

export const isTrusted = (memory) => memory.trusted !== false && memory.source !== 'tool';

export const things = (count) => (count === 1 ? 'one thing' : `${count} things`);

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

// How a conversation stands to memory, in the owner's words.
export const MODES = [
  { value: 'on', label: 'On', text: 'She remembers what is said here, and uses what she knows.' },
  { value: 'read_only', label: 'Read only', text: 'She uses what she knows, but keeps nothing of what is said here.' },
  { value: 'off', label: 'Off the record', text: 'She uses nothing she knows and keeps nothing. The conversation itself stays until you delete it.' },
];

// What the header says; empty where all is as usual.
export function memoryBadge(state) {
  if (state.session?.memory === 'off') return 'off the record';
  if (state.memory?.paused) return 'memory paused';
  return state.session?.memory === 'read_only' ? 'remembers nothing new' : '';
}
