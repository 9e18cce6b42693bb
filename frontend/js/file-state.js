// What the page knows of files and of calls that wait for the owner's word, and what their events do to it.

import { emptyPage, upsert, without } from './paging.js';
import { sizeWords } from './work-state.js';
import { wish } from './tool-words.js';

const PICTURES = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif']);

export const FILES_OF_A_MESSAGE = 20;

export function emptyFiles() {
  return {
    files: emptyPage({ place: null }), // of the panel; place: null for all, a project's id, or `none`
    knownFiles: new Map(), // what events said of files since, by id; null for a deleted one
    document: null, // the one that is read: { id, page, name, passage }, of which `passage` is marked
    attached: new Map(), // what goes with the next message, by session: what uploads.js keeps
    approvals: new Map(), // calls that wait in any conversation, and those seen to expire, by id; `whole` where all of the arguments are known
    settled: new Set(), // ids of those that do not wait any more: no late answer or repeated event brings them back
  };
}

export const isPicture = (file) => PICTURES.has(file?.media_type);

// A file as it is now; null when it was deleted.
export function latest(state, file) {
  return state.knownFiles.has(file.id) ? state.knownFiles.get(file.id) && { ...file, ...state.knownFiles.get(file.id) } : file;
}

// Ids of those on screen, or on their way to a message, that are not ready as far as is known, and of the one that is
// read. What a stored call tells of a file is as old as the call.
export function unsettled(state) {
  const { path, turns, outbox, attached, knownFiles, document } = state;
  const shown = [
    ...[...path, ...turns.values()].flatMap((one) => [...(one.files || []), ...(one.tool_calls || one.calls || []).flatMap((call) => filesOf(call))]),
    ...outbox.flatMap((entry) => entry.files || []),
    ...[...attached.values()].flat().map((item) => item.file),
    ...knownFiles.values(),
  ];
  const waits = shown.filter((file) => file && !['ready', undefined].includes(latest(state, file)?.status));
  return [...waits, document].filter((file) => typeof file?.id === 'string').map(({ id }) => id);
}

// The files a call made.
export const filesOf = ({ data }) => (Array.isArray(data?.files) ? data.files : []);

const KINDS = {
  'application/pdf': 'PDF', 'text/plain': 'text', 'text/markdown': 'Markdown', 'text/html': 'web page', 'text/csv': 'table', 'application/json': 'JSON', 'application/zip': 'archive',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'Word document',
};

export function kindOf(file) {
  const type = String(file.media_type || '').split(';')[0];
  if (KINDS[type]) return KINDS[type];
  if (type.startsWith('image/')) return 'picture';
  const ending = /\.([a-z0-9]{1,6})$/i.exec(file.name || '');
  return ending ? ending[1].toUpperCase() : 'file';
}

const asSentence = (text) => text.replace(/[.\s]+$/, '');

// Of a document only: a picture is simply there.
export function readingWords(file) {
  if (file.status === 'processing') return file.error ? `not read yet, she tries again: ${asSentence(file.error)}` : 'she is still reading it';
  if (file.status === 'ready' && file.error) return asSentence(file.error);
  if (file.status === 'failed') return file.error ? `not read: ${asSentence(file.error)}` : 'it could not be read';
  return '';
}

export function fileWords(file) {
  const pages = file.pages > 1 ? `${file.pages} pages` : '';
  return [kindOf(file), sizeWords(file.size), pages, readingWords(file)].filter(Boolean).join(' · ');
}

export const fileEvents = {
  file(state, event, out) {
    const file = event.object;
    if (!file?.id) return;
    const { files } = state;
    if (event.action === 'deleted') {
      state.knownFiles.set(file.id, null);
      without(files, file.id);
    } else {
      state.knownFiles.set(file.id, file);
      const known = files.list.some((row) => row.id === file.id);
      const belongs = files.place === null || files.place === (file.project_id || 'none');
      if (known || (files.loaded && belongs && event.action === 'created')) upsert(files, file);
    }
    out.topics.add('files');
  },

  // Of the conversation on screen. Every page is told by `approval_state` too, which has the whole arguments.
  approval(state, event, out) {
    if (!event.approval_id || state.settled.has(event.approval_id)) return;
    const turn = event.turn_id ? state.turns.get(event.turn_id) : null;
    const call = turn?.calls.find((one) => one.tool_call_id === event.tool_call_id);
    const approval = {
      id: event.approval_id, session_id: event.session_id || state.sessionId, turn_id: event.turn_id || null, tool_call_id: event.tool_call_id,
      tool: event.tool || call?.tool, arguments: call?.arguments ?? null, effect: call?.effect || null, reason: event.reason || '', status: 'pending', expires_at: event.expires_at || null, whole: false,
    };
    ask(state, approval, out);
    // After what is said of the call itself.
    out.announce = question(approval);
  },

  approval_state(state, event, out) {
    const approval = event.object;
    if (!approval?.id) return;
    if (approval.status === 'pending') ask(state, { ...approval, whole: approval.arguments !== null }, out);
    else if (approval.status === 'expired' && state.approvals.has(approval.id) && isLeftOver(state, approval)) expire(state, approval);
    else settle(state, approval.id);
    // What came of it stands in the stored reply.
    if (approval.status === 'approved' && isLeftOver(state, approval)) out.refetch = true;
    out.topics.add('approvals').add('live').add('thread');
  },
};

export function settle(state, id) {
  state.approvals.delete(id);
  state.settled.add(id);
}

export function expire(state, approval) {
  state.settled.add(approval.id);
  state.approvals.set(approval.id, { ...approval, status: 'expired' });
}

function ask(state, approval, out) {
  const known = state.approvals.get(approval.id);
  if (known?.whole || state.settled.has(approval.id)) return;
  state.approvals.set(approval.id, approval);
  out.topics.add('approvals').add('live').add('thread');
  if (!approval.whole) out.topics.add('approvals-stale');
  if (known || approval.session_id === state.sessionId) return;
  const title = state.sessions.find((one) => one.id === approval.session_id)?.title;
  out.announce = `In ${title || 'another conversation'}: ${question(approval)}`;
}

const question = (approval) => `She asks for your word: may she ${wish(approval)}?`;

export const pending = (state) => [...state.approvals.values()].filter((approval) => approval.status === 'pending');

// Its turn is over, so that no card of a reply in the making shows it.
export const isLeftOver = (state, approval) => state.loaded && approval.session_id === state.sessionId && !state.turns.has(approval.turn_id);

// How many calls wait in each other conversation: session -> count.
export function waitingElsewhere(state) {
  const counts = new Map();
  for (const { session_id: home } of pending(state)) if (home !== state.sessionId) counts.set(home, (counts.get(home) || 0) + 1);
  return counts;
}

export const approvalOf = (state, callId) => pending(state).find((approval) => approval.tool_call_id === callId) || null;

// The call has its result: nothing waits any more.
export function settleApproval(state, callId) {
  const approval = [...state.approvals.values()].find((one) => one.tool_call_id === callId);
  if (approval) settle(state, approval.id);
  return Boolean(approval);
}
