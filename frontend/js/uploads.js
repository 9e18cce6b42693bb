// Files on their way to the next message, kept per conversation. An upload goes on when another
// conversation is looked at; what has arrived is remembered by its id, so that a reload keeps it.

import { fileApi, upload } from './file-api.js';
import { FILES_OF_A_MESSAGE, latest } from './file-state.js';
import { read, write } from './storage.js';
import { inWords } from './views/form.js';
import { plural } from './memory-state.js';

const AT_ONCE = 3;

export function createUploads(store, { say, announce }) {
  const { state } = store;
  let nextKey = 0;
  let running = 0;

  const listOf = (session) => state.attached.get(session) || [];
  const list = () => listOf(state.sessionId);

  function put(session, items) {
    if (items.length > 0) state.attached.set(session, items);
    else state.attached.delete(session);
    const arrived = items.filter((item) => item.file).map(({ file }) => file);
    write(`files.${session}`, arrived.length > 0 ? JSON.stringify(arrived.map(({ id, name, media_type, size, status, pages }) => ({ id, name, media_type, size, status, pages }))) : null);
    store.touch('attached');
  }

  const change = (session, key, values) => put(session, listOf(session).map((item) => (item.key === key ? { ...item, ...values } : item)));
  const drop = (session, key) => put(session, listOf(session).filter((item) => item.key !== key));

  function add(blobs) {
    const session = state.sessionId;
    if (!session) return;
    const room = FILES_OF_A_MESSAGE - list().length;
    if (blobs.length > room) say(`A message takes ${FILES_OF_A_MESSAGE} files at most.`);
    const items = blobs.slice(0, Math.max(room, 0)).map((blob) => {
      nextKey += 1;
      return { key: nextKey, name: blob.name || 'file', size: blob.size, media_type: blob.type, blob, state: 'queued', progress: 0, project: state.session?.project_id || null };
    });
    if (items.length === 0) return;
    put(session, [...list(), ...items]);
    announce(`${plural(items.length, 'file')} added.`);
    next();
  }

  function next() {
    for (const [session, items] of state.attached) {
      for (const item of items) {
        if (running >= AT_ONCE) return;
        if (item.state === 'queued') send(session, item);
      }
    }
  }

  async function send(session, { key, blob, name, project }) {
    running += 1;
    const way = upload(blob, name, { projectId: project, progress: (progress) => change(session, key, { progress }) });
    change(session, key, { state: 'sending', cancel: way.cancel, error: null, progress: 0 });
    try {
      arrived(session, key, await way.done);
    } catch (problem) {
      if (problem.name !== 'AbortError') {
        change(session, key, { state: 'failed', error: inWords(problem), cancel: null });
        announce(`${name} could not be sent.`);
      }
    } finally {
      running -= 1;
      next();
    }
  }

  // The same file twice is one file.
  function arrived(session, key, file) {
    if (listOf(session).some((item) => item.key !== key && item.file?.id === file.id)) drop(session, key);
    else change(session, key, { state: 'there', file, progress: 1, cancel: null, blob: null });
  }

  function remove(key) {
    const item = list().find((one) => one.key === key);
    drop(state.sessionId, key);
    item?.cancel?.();
  }

  function retry(key) {
    change(state.sessionId, key, { state: 'queued', error: null });
    next();
  }

  // What goes with the message, which takes it along.
  function take() {
    const files = list().filter((item) => item.file).map((item) => latest(state, item.file)).filter(Boolean);
    put(state.sessionId, []);
    return files;
  }

  // Files of a message that was taken back, or of a draft that was left here.
  function putBack(files, session = state.sessionId) {
    const known = new Set(listOf(session).map((item) => item.file?.id));
    const fresh = files.filter((file) => file?.id && !known.has(file.id)).map((file) => {
      nextKey += 1;
      return { key: nextKey, name: file.name, size: file.size, media_type: file.media_type, state: 'there', progress: 1, file };
    });
    if (fresh.length > 0) put(session, [...listOf(session), ...fresh]);
  }

  async function restore() {
    const session = state.sessionId;
    if (!session || state.attached.has(session)) return;
    const kept = parsed(read(`files.${session}`));
    if (kept.length === 0) return;
    putBack(kept, session);
    await Promise.all(kept.map(async ({ id }) => {
      try {
        state.knownFiles.set(id, await fileApi.read(id));
      } catch (problem) {
        if (problem.status !== 404) return;
        state.knownFiles.set(id, null);
      }
    }));
    follow();
    store.touch('files');
  }

  // What was deleted meanwhile goes with no message.
  function follow() {
    for (const [session, items] of state.attached) {
      const there = items.filter((item) => !item.file || latest(state, item.file));
      if (there.length < items.length) put(session, there);
    }
    store.touch('attached');
  }

  store.on(['files'], follow);
  return {
    list, add, remove, retry, take, putBack, restore,
    busy: () => list().some((item) => item.state === 'queued' || item.state === 'sending'),
    failed: () => list().some((item) => item.state === 'failed'),
  };
}

function parsed(text) {
  try {
    const list = JSON.parse(text || '[]');
    return Array.isArray(list) ? list.filter((file) => typeof file?.id === 'string' && typeof file.name === 'string') : [];
  } catch {
    return [];
  }
}
