// Where each thing stands in the conversation. Pure functions over the store's state: the path of
// stored messages, the replies being written, what is not sent yet, and errors.

const BROKEN = new Set(['stopped', 'interrupted']);

export const isOwn = (message) => message.role === 'user';

// Puts a stored message where its parent says. Answers the new path, or null when its place is not
// among the loaded messages and the history must be read again.
export function place(path, message, { liveIds = new Set() } = {}) {
  const known = path.findIndex((m) => m.id === message.id);
  if (known >= 0) return path.with(known, message);
  if (path.length === 0) return [message];
  if (!message.parent_id) return [message];
  const parent = path.findIndex((m) => m.id === message.parent_id);
  if (parent < 0) return liveIds.has(message.parent_id) ? [...path, message] : null;
  const next = path[parent + 1];
  if (!next) return [...path, message];
  if (next.role === message.role) return [...path.slice(0, parent + 1), message];
  // A reply whose successor was queued while it was being written goes before that; a queued
  // message goes last.
  return isOwn(message) ? [...path, message] : path.toSpliced(parent + 1, 0, message);
}

// The turn being answered now, if any.
export function activeTurn(state) {
  for (const turn of state.turns.values()) if (!turn.queued && !turn.settled) return turn;
  return null;
}

export function newTurn(id) {
  return {
    id,
    messageId: null,
    anchorId: null, // the message it answers, where known
    whole: false, // heard from its beginning
    queued: false,
    settled: false, // complete or error seen, done not yet
    stage: null,
    detail: null,
    content: '',
    blocks: [], // html by block, as the server sends it
    persona: null,
    mood: null,
    moodCause: null,
    recall: null, // what came up from memory: { memories, degraded }
    citations: [], // numbered sources, as a stored message has them
    calls: [], // of tools, as a stored message has them; status null while at work, `seen` where this page saw it begin
  };
}

// Where a live reply stands: after which message, and which later ones it hides (a regeneration
// hides what it is to replace).
function anchorOf(path, turn) {
  const follower = turn.messageId ? path.findIndex((m) => m.parent_id === turn.messageId) : -1;
  if (follower >= 0) return { after: follower - 1, hide: 0 };
  let after = turn.anchorId ? path.findIndex((m) => m.id === turn.anchorId) : -1;
  if (after < 0) after = path.findLastIndex(isOwn);
  const next = path[after + 1];
  const replaces = next && !isOwn(next) && next.parent_id === path[after]?.id;
  return { after, hide: replaces ? path.length - after - 1 : 0 };
}

function dayOf(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? null : date.toDateString();
}

// Everything the conversation shows, in order, each with a key that is stable while it lives.
export function items(state) {
  const { path } = state;
  const live = [...state.turns.values()].filter((t) => !t.queued && !t.settled);
  const queued = new Set([...state.turns.values()].filter((t) => t.queued).map((t) => t.anchorId));
  const liveAfter = new Map();
  let end = path.length;
  for (const turn of live) {
    const { after, hide } = anchorOf(path, turn);
    if (hide > 0) end = Math.min(end, path.length - hide);
    liveAfter.set(after, [...(liveAfter.get(after) || []), turn]);
  }

  const out = [];
  let day = null;
  let lastMood = null;
  let lastWho = null;
  const lastOwn = path.findLastIndex(isOwn);
  const idle = state.turns.size === 0 && !state.outbox.some((entry) => entry.session_id === state.sessionId);

  const pushDay = (time) => {
    const own = dayOf(time);
    if (!own || own === day) return;
    day = own;
    lastWho = null;
    out.push({ kind: 'day', key: `day-${own}`, time });
  };
  const pushLive = (index) => {
    for (const turn of liveAfter.get(index) || []) {
      out.push({ kind: 'live', key: turn.messageId || turn.id, turn, first: lastWho !== 'mira', moodChanged: turn.mood !== lastMood });
      lastWho = 'mira';
    }
  };

  pushLive(-1);
  for (let index = 0; index < end; index += 1) {
    const message = path[index];
    const own = isOwn(message);
    pushDay(message.created_at);
    out.push({
      kind: own ? 'own' : 'mira',
      key: message.id,
      message,
      first: lastWho !== (own ? 'own' : 'mira'),
      last: own ? index === lastOwn : index === path.length - 1,
      broken: !own && idle && index === path.length - 1 && BROKEN.has(message.status), // she can be asked to go on
      queued: queued.has(message.id),
      moodChanged: !own && message.mood !== lastMood,
    });
    if (!own) lastMood = message.mood;
    lastWho = own ? 'own' : 'mira';
    for (const problem of state.problems) if (problem.after === message.id) out.push(problemItem(problem));
    pushLive(index);
  }
  for (const entry of state.outbox) {
    if (entry.session_id === state.sessionId) out.push({ kind: 'pending', key: entry.client_id, entry });
  }
  const shown = new Set(path.slice(0, end).map((m) => m.id));
  for (const problem of state.problems) if (!shown.has(problem.after)) out.push(problemItem(problem));
  if (isUnanswered(state, out)) out.push({ kind: 'unanswered', key: 'unanswered', messageId: path.at(-1).id });
  return out;
}

function problemItem(problem) {
  return { kind: 'problem', key: problem.key, problem };
}

// The last word is the owner's and nobody is answering it: a reply was stopped before it began, or
// failed before this page was opened.
function isUnanswered(state, out) {
  const last = state.path.at(-1);
  return Boolean(state.loaded && last && isOwn(last) && last.status !== 'forgotten' && state.turns.size === 0 && out.at(-1)?.kind === 'own');
}
