// Files on their way to a message: to the next one of each conversation, or to one that is being edited. An upload goes
// on when another conversation is looked at; what has arrived for a next message is remembered by its id, so that a
// reload keeps it.

import { upload } from './file-api.js';
import { FILES_OF_A_MESSAGE, latest } from './file-state.js';
import { read, write } from './storage.js';
import { inWords } from './views/form.js';
import { plural } from './memory-state.js';

const AT_ONCE = 3;
const EDIT = 'edit '; // before a message's id: no conversation is called so

// refresh(ids): asks the server for files.
export function createUploads(store, { say, announce, refresh }) {
  const { state } = store;
  let nextKey = 0;
  let running = 0;

  const listOf = (place) => state.attached.get(place) || [];

  function put(place, items) {
    if (items.length > 0) state.attached.set(place, items);
    else state.attached.delete(place);
    store.touch('attached');
    if (place.startsWith(EDIT)) return;
    const arrived = items.filter((item) => item.file).map(({ file }) => file);
    write(`files.${place}`, arrived.length > 0 ? JSON.stringify(arrived.map(({ id, name, media_type, size, status, pages }) => ({ id, name, media_type, size, status, pages }))) : null);
  }

  const change = (place, key, values) => put(place, listOf(place).map((item) => (item.key === key ? { ...item, ...values } : item)));
  const drop = (place, key) => put(place, listOf(place).filter((item) => item.key !== key));

  function add(place, blobs) {
    if (!place) return;
    const room = FILES_OF_A_MESSAGE - listOf(place).length;
    if (blobs.length > room) say(`A message takes ${FILES_OF_A_MESSAGE} files at most.`);
    const items = blobs.slice(0, Math.max(room, 0)).map((blob) => {
      nextKey += 1;
      return { key: nextKey, name: blob.name || 'file', size: blob.size, media_type: blob.type, blob, state: 'queued', progress: 0, project: state.session?.project_id || null };
    });
    if (items.length === 0) return;
    put(place, [...listOf(place), ...items]);
    announce(`${plural(items.length, 'file')} added.`);
    next();
  }

  function next() {
    for (const [place, items] of state.attached) {
      for (const item of items) {
        if (running >= AT_ONCE) return;
        if (item.state === 'queued') send(place, item);
      }
    }
  }

  async function send(place, { key, blob, name, project }) {
    running += 1;
    const way = upload(blob, name, { projectId: project, progress: (progress) => change(place, key, { progress }) });
    change(place, key, { state: 'sending', cancel: way.cancel, error: null, progress: 0 });
    try {
      arrived(place, key, await way.done);
    } catch (problem) {
      if (problem.name !== 'AbortError') {
        change(place, key, { state: 'failed', error: inWords(problem), cancel: null });
        announce(`${name} could not be sent.`);
      }
    } finally {
      running -= 1;
      next();
    }
  }

  // The same file twice is one file.
  function arrived(place, key, file) {
    if (listOf(place).some((item) => item.key !== key && item.file?.id === file.id)) drop(place, key);
    else change(place, key, { state: 'there', file, progress: 1, cancel: null, blob: null });
  }

  function remove(place, key) {
    const item = listOf(place).find((one) => one.key === key);
    drop(place, key);
    item?.cancel?.();
  }

  function retry(place, key) {
    change(place, key, { state: 'queued', error: null });
    next();
  }

  const arrivedIn = (place) => listOf(place).filter((item) => item.file).map((item) => latest(state, item.file)).filter(Boolean);

  // What goes with the message, which takes it along.
  function take(place) {
    const files = arrivedIn(place);
    put(place, []);
    return files;
  }

  // Files of a message that was taken back or is edited, or of a draft that was left here.
  function putBack(place, files) {
    const known = new Set(listOf(place).map((item) => item.file?.id));
    const fresh = files.filter((file) => file?.id && !known.has(file.id)).map((file) => {
      nextKey += 1;
      return { key: nextKey, name: file.name, size: file.size, media_type: file.media_type, state: 'there', progress: 1, file };
    });
    if (fresh.length > 0) put(place, [...listOf(place), ...fresh]);
  }

  async function restore() {
    const session = state.sessionId;
    if (!session || state.attached.has(session)) return;
    const kept = parsed(read(`files.${session}`));
    if (kept.length === 0) return;
    putBack(session, kept);
    await refresh(kept.map(({ id }) => id));
  }

  // What was deleted meanwhile goes with no message.
  function follow() {
    for (const [place, items] of state.attached) {
      const there = items.filter((item) => !item.file || latest(state, item.file));
      if (there.length < items.length) put(place, there);
    }
    store.touch('attached');
  }

  // The files of one place, which `placeOf` names.
  const at = (placeOf) => ({
    list: () => listOf(placeOf()),
    add: (blobs) => add(placeOf(), blobs),
    remove: (key) => remove(placeOf(), key),
    retry: (key) => retry(placeOf(), key),
    arrived: () => arrivedIn(placeOf()),
    take: () => take(placeOf()),
    putBack: (files) => putBack(placeOf(), files),
    clear: () => listOf(placeOf()).forEach((item) => remove(placeOf(), item.key)),
    busy: () => listOf(placeOf()).some((item) => item.state === 'queued' || item.state === 'sending'),
    failed: () => listOf(placeOf()).some((item) => item.state === 'failed'),
  });

  store.on(['files'], follow);
  return { ...at(() => state.sessionId), restore, ofEdit: (messageId) => at(() => EDIT + messageId) };
}

function parsed(text) {
  try {
    const list = JSON.parse(text || '[]');
    return Array.isArray(list) ? list.filter((file) => typeof file?.id === 'string' && typeof file.name === 'string') : [];
  } catch {
    return [];
  }
}
