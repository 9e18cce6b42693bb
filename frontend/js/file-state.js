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
    document: null, // the one that is read: { id, page, name }
    attached: new Map(), // what goes with the next message, by session: what uploads.js keeps
    approvals: new Map(), // calls that wait, by id
  };
}

export const isPicture = (file) => PICTURES.has(file?.media_type);

// A file as it is now; null when it was deleted.
export function latest(state, file) {
  return state.knownFiles.has(file.id) ? state.knownFiles.get(file.id) && { ...file, ...state.knownFiles.get(file.id) } : file;
}

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
  if (file.status === 'processing') return 'she is still reading it';
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

  approval(state, event, out) {
    if (!event.approval_id) return;
    const turn = event.turn_id ? state.turns.get(event.turn_id) : null;
    const call = turn?.calls.find((one) => one.tool_call_id === event.tool_call_id);
    const approval = {
      id: event.approval_id, session_id: event.session_id || state.sessionId, turn_id: event.turn_id || null, tool_call_id: event.tool_call_id,
      tool: event.tool || call?.tool, arguments: call?.arguments ?? null, effect: call?.effect || null, reason: event.reason || '', status: 'pending', expires_at: event.expires_at || null,
    };
    state.approvals.set(approval.id, approval);
    out.announce = `She asks for your word: may she ${wish(approval)}?`;
    out.topics.add('approvals').add('live').add('thread');
  },
};

export function approvalOf(state, callId) {
  for (const approval of state.approvals.values()) if (approval.tool_call_id === callId) return approval;
  return null;
}

// The call has its result: nothing waits any more.
export function settleApproval(state, callId) {
  const approval = approvalOf(state, callId);
  if (approval) state.approvals.delete(approval.id);
  return Boolean(approval);
}
