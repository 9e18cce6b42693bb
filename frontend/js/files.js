// What is known of files, kept in step with the server: events of the account are not told again, so that after each
// greeting those on screen that may have changed are asked for.

import { fileApi } from './file-api.js';
import { unsettled } from './file-state.js';

const AT_ONCE = 4;

export function createKnownFiles(store) {
  const { state } = store;

  // Asks for each of them; one that cannot be asked for stays as it is known.
  async function refresh(ids) {
    const left = [...new Set(ids)];
    const work = async () => {
      for (let id = left.pop(); id; id = left.pop()) await refreshOne(id);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    store.touch('files');
  }

  // What an event told meanwhile is newer than the answer.
  async function refreshOne(id) {
    const before = state.knownFiles.get(id);
    let now;
    try {
      now = await fileApi.read(id);
    } catch (problem) {
      if (problem.status !== 404) return;
      now = null;
    }
    if (state.knownFiles.get(id) === before) state.knownFiles.set(id, now);
  }

  store.on(['greeted', 'files-stale'], () => refresh(unsettled(state)));
  return { refresh };
}
