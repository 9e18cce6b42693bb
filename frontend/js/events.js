// What each event of the protocol does to the state. applyEvent changes the state and answers what
// has to happen outside of it. Unknown events and unknown fields are ignored.

import { fileEvents, settle as settleQuestion, settleApproval } from './file-state.js';
import { keep, lose } from './memory-state.js';
import { isOwn, newTurn, place } from './timeline.js';
import { callAnnounced, resultAnnounced } from './tool-words.js';
import { workEvents } from './work-state.js';

// Frames with a `seq` that says where the log is, but which are not of the log.
const ABOUT_THE_LOG = new Set(['hello', 'reset']);
const OF_A_TURN = new Set(['message', 'status', 'recall', 'persona', 'chunk', 'html', 'tool_call', 'tool_result', 'approval', 'citation', 'complete', 'error', 'done']);

export function applyEvent(state, event) {
  const out = { topics: new Set(), refetch: false, announce: null, settled: [], removed: null, notice: null, greeted: false, recheckHead: false };
  const handler = handlers[event.type];
  if (!handler) {
    noteSeq(state, event);
    return out;
  }
  if (OF_A_TURN.has(event.type) && event.session_id && state.sessionId && event.session_id !== state.sessionId) return out;
  const fresh = noteSeq(state, event);
  // A repeated client_id is answered with the original `message`, whose seq is long past.
  if (!fresh && event.type !== 'message') return out;
  handler(state, event, out, fresh);
  return out;
}

// False for an event of the log that was seen before.
function noteSeq(state, event) {
  if (typeof event.seq !== 'number' || ABOUT_THE_LOG.has(event.type)) return true;
  if (event.seq <= state.seq) return false;
  state.seq = event.seq;
  return true;
}

function turnOf(state, event) {
  if (!event.turn_id) return null;
  let turn = state.turns.get(event.turn_id);
  if (!turn) {
    turn = newTurn(event.turn_id);
    turn.whole = true;
    // A new try, perhaps asked for by another client: what failed before is past.
    state.problems = [];
    turn.anchorId = state.regenerating || null;
    state.regenerating = null;
    state.turns.set(event.turn_id, turn);
  }
  return turn;
}

function store(state, message, out) {
  const liveIds = new Set([...state.turns.values()].map((t) => t.messageId).filter(Boolean));
  const path = place(state.path, message, { liveIds });
  if (path) {
    if (!message.parent_id && path.length === 1) state.cursor = null;
    state.path = path;
  } else {
    out.refetch = true;
  }
  out.topics.add('thread');
}

// Of a turn that was heard from its beginning it is known that nothing came up, too.
function noteRecall(state, turn, id) {
  if (turn?.recall || turn?.whole) state.recalls.set(id, turn.recall);
}

function setMood(state, { persona, mood, cause, pinned }, out) {
  const session = { ...(state.session || { id: state.sessionId }) };
  if (persona) session.persona = persona;
  if (mood) {
    if (mood !== session.mood || cause) state.moodCause = cause || null;
    session.mood = mood;
  }
  if (pinned !== undefined) session.pinned_persona = pinned === true ? persona : pinned || null;
  state.session = session;
  out.topics.add('session');
}

// Finds the unsent message that this stored one is. Where the server does not repeat the client_id,
// the oldest one under way with the same words.
function settle(state, event, out) {
  const id = event.client_id || event.message.client_id || event.message.metadata?.client_id;
  const mine = id
    ? state.outbox.find((entry) => entry.client_id === id)
    : state.outbox.find((entry) => entry.session_id === state.sessionId && entry.state === 'sent' && entry.content === event.message.content);
  if (!mine) return;
  state.outbox = state.outbox.filter((entry) => entry !== mine);
  out.settled.push(mine.client_id);
  out.topics.add('thread');
}

// The call of that id among the turn's; a result whose call this page did not see makes one.
function callOf(turn, event) {
  const known = turn.calls.find((call) => call.tool_call_id === event.tool_call_id);
  if (known) return known;
  const call = { tool_call_id: event.tool_call_id, tool: event.tool || event.tool_type, arguments: null, effect: null, status: null, data: null };
  turn.calls = [...turn.calls, call];
  return call;
}

function changeCall(turn, event, values) {
  const call = { ...callOf(turn, event), ...values };
  turn.calls = turn.calls.map((known) => (known.tool_call_id === call.tool_call_id ? call : known));
  turn.queued = false;
  turn.messageId = event.message_id || turn.messageId;
  return call;
}

const handlers = {
  ...workEvents,
  ...fileEvents,

  hello(state, event, out) {
    if (typeof event.rehearsal === 'boolean') state.rehearsal = event.rehearsal;
    state.version = event.version || state.version;
    if (event.session) {
      state.session = { ...state.session, ...event.session };
      state.sessionId = event.session.id;
    }
    // Turns believed to run that the server no longer knows, with nothing left to replay.
    const stale = !event.active_turn && state.turns.size > 0 && event.seq === state.seq;
    if (stale || (typeof event.seq === 'number' && event.seq < state.seq)) out.refetch = true;
    out.greeted = true;
    out.topics.add('session').add('thread').add('health').add('greeted');
  },

  message(state, event, out, fresh) {
    const { message } = event;
    if (!message) return;
    settle(state, event, out);
    if (!fresh) {
      if (state.path.some((m) => m.id === message.id)) store(state, message, out);
      return;
    }
    state.problems = [];
    state.regenerating = null;
    store(state, message, out);
    const turn = turnOf(state, event);
    if (turn) turn.anchorId = message.id;
    out.topics.add('turn');
  },

  status(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn) return;
    turn.messageId = event.message_id && event.message_id !== turn.anchorId ? event.message_id : turn.messageId;
    turn.queued = event.stage === 'queued';
    turn.stage = event.stage;
    turn.detail = event.detail || null;
    if (event.sketch && turn.calls.some((call) => call.tool_call_id === event.tool_call_id)) changeCall(turn, event, { sketch: event.sketch });
    out.topics.add('thread').add('live').add('turn');
  },

  recall(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn) return;
    turn.queued = false;
    turn.messageId = event.message_id || turn.messageId;
    turn.recall = { memories: (event.memories || []).filter((m) => !state.forgotten.has(m.id)), degraded: event.degraded || null };
    if (turn.messageId) state.recalls.set(turn.messageId, turn.recall);
    out.topics.add('thread').add('live').add('turn');
  },

  persona(state, event, out) {
    const turn = turnOf(state, event);
    if (turn) {
      Object.assign(turn, { queued: false, persona: event.persona, mood: event.mood, moodCause: event.mood_cause || null });
      turn.messageId = event.message_id || turn.messageId;
      out.topics.add('thread').add('live').add('turn');
    }
    setMood(state, { persona: event.persona, mood: event.mood, cause: event.mood_cause, pinned: event.pinned }, out);
    state.moods = null;
    out.topics.add('moods');
  },

  chunk(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn) return;
    if (turn.content === '') out.topics.add('thread').add('turn');
    turn.queued = false;
    turn.messageId = event.message_id || turn.messageId;
    turn.content += event.content || '';
    turn.persona = event.persona || turn.persona;
    turn.mood = event.mood || turn.mood;
    turn.stage = null;
    out.topics.add('live');
  },

  html(state, event, out) {
    const turn = event.turn_id ? state.turns.get(event.turn_id) : [...state.turns.values()].find((t) => t.messageId === event.message_id);
    if (!turn || !Number.isInteger(event.block) || event.block < 0) return;
    turn.blocks[event.block] = event.html;
    out.topics.add('live');
  },

  tool_call(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn || !event.tool_call_id) return;
    const call = changeCall(turn, event, { tool: event.tool, arguments: event.arguments ?? null, effect: event.effect || null, seen: true });
    out.announce = callAnnounced(call);
    out.topics.add('thread').add('live').add('turn');
  },

  tool_result(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn || !event.tool_call_id) return;
    const call = changeCall(turn, event, { status: event.status || 'failed', data: event.data ?? null });
    out.announce = resultAnnounced(call);
    if (settleApproval(state, call.tool_call_id)) out.topics.add('approvals');
    out.topics.add('thread').add('live').add('turn');
  },

  citation(state, event, out) {
    const turn = turnOf(state, event);
    if (!turn || !Number.isInteger(event.index)) return;
    turn.messageId = event.message_id || turn.messageId;
    turn.citations = [...turn.citations.filter((known) => known.index !== event.index || known.start !== event.start), event];
    out.topics.add('live');
  },

  complete(state, event, out) {
    const { message } = event;
    const turn = turnOf(state, event);
    if (turn) turn.settled = true;
    if (!message) return;
    noteRecall(state, turn, message.id);
    store(state, message, out);
    setMood(state, { persona: message.persona, mood: message.mood, cause: message.mood_cause }, out);
    out.announce = message.content;
    out.topics.add('turn');
  },

  error(state, event, out) {
    const turn = event.turn_id ? turnOf(state, event) : null;
    const error = event.error || { title: 'Something went wrong' };
    if (turn) {
      turn.settled = true;
      const asked = turn.anchorId || state.path.findLast(isOwn)?.id || null;
      if (event.message) {
        noteRecall(state, turn, event.message.id);
        store(state, event.message, out);
      }
      const about = event.message?.id || asked;
      const retry = event.retryable && about ? { kind: 'regenerate', messageId: about } : null;
      state.problems = [...state.problems, { key: `problem-${turn.id}`, error, retry, after: about }];
      out.topics.add('turn').add('thread');
    } else {
      frameError(state, event, error, out);
    }
    out.announce = `${error.title || 'Error'}. ${error.detail || ''}`;
  },

  done(state, event, out) {
    state.turns.delete(event.turn_id);
    // A call that still waits now waits without its turn.
    out.topics.add('thread').add('live').add('turn').add('approvals');
  },

  reset(state, event, out) {
    if (typeof event.seq === 'number') state.seq = event.seq;
    out.refetch = true;
    out.topics.add('approvals-stale');
  },

  session(state, event, out) {
    const session = event.object;
    if (!session?.id) return;
    const rest = state.sessions.filter((s) => s.id !== session.id);
    if (event.action === 'deleted') {
      state.sessions = rest;
      for (const { id, session_id: home } of [...state.approvals.values()]) if (home === session.id) settleQuestion(state, id);
      out.topics.add('approvals');
      if (session.id === state.sessionId) out.removed = session.id;
    } else {
      const old = state.sessions.find((s) => s.id === session.id);
      state.sessions = [{ ...old, ...session }, ...rest];
      if (session.id === state.sessionId) ownSession(state, session, out);
    }
    out.topics.add('sessions');
  },

  memory(state, event, out) {
    const memory = event.object;
    if (!memory?.id) return;
    if (event.action === 'deleted') {
      // A call that quotes it cannot be allowed any more.
      if (state.approvals.size > 0) out.topics.add('approvals-stale');
      if (lose(state, memory.id)) {
        out.refetch = true;
        out.topics.add('session').add('moods');
      }
      out.topics.add('thread').add('live').add('forgotten');
    } else {
      const fresh = event.action === 'created';
      keep(state, memory, { fresh });
      if (fresh && memory.kind === 'fact' && state.panel !== 'memory') state.unseenFacts += 1;
      if (!fresh) out.topics.add('thread').add('live');
    }
    out.topics.add('memories').add('memory-news');
  },

  typing(state, event, out) {
    state.typing = Boolean(event.active);
    out.topics.add('typing');
  },
};

// The session on screen changed, perhaps by another client: another branch chosen, or cleared.
function ownSession(state, session, out) {
  const before = state.session || {};
  // What was read before a reply may arrive after it, and knows no better how she felt.
  const newest = state.path.at(-1);
  const isOlder = newest?.role === 'assistant' && Date.parse(session.updated_at) < Date.parse(newest.created_at);
  const now = isOlder ? { ...session, mood: before.mood, persona: before.persona } : session;
  if (now.mood && now.mood !== before.mood) state.moodCause = null;
  state.session = { ...before, ...now };
  // What this page knew of the head is as old as its connection: turns move it without such an event.
  if (session.head_id !== undefined && !state.path.some((m) => m.id === session.head_id)) out.recheckHead = true;
  out.topics.add('session');
}

// An error that answers a frame of ours. It names no frame, so the oldest message under way carries
// it if a message was the last thing sent.
function frameError(state, event, error, out) {
  const mine = event.client_id
    ? state.outbox.find((entry) => entry.client_id === event.client_id)
    : state.lastSent === 'chat' && state.outbox.find((entry) => entry.session_id === state.sessionId && entry.state === 'sent');
  if (mine) {
    mine.state = 'failed';
    mine.error = error;
    mine.retryable = event.retryable !== false;
    out.topics.add('thread');
  } else {
    out.notice = error;
  }
}
