// What this browser remembers: drafts, unsent messages, small preferences. Every access survives a
// browser that refuses storage. The conversation itself is never kept here: the server holds it.

const PREFIX = 'mira.';
const OUTBOX = 'out.';

export function read(key) {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function write(key, value) {
  try {
    if (value === null || value === '') localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // Full or refused: the value lives only as long as the page.
  }
}

// One key per unsent message, so that two tabs never overwrite each other's list.
export function keepUnsent(entry) {
  const { client_id, session_id, content, metadata = null, files = [], created_at } = entry;
  write(OUTBOX + client_id, JSON.stringify({ client_id, session_id, content, metadata, files, created_at }));
}

export function dropUnsent(clientId) {
  write(OUTBOX + clientId, null);
}

export function listUnsent() {
  const found = [];
  try {
    for (let i = 0; i < localStorage.length; i += 1) {
      const key = localStorage.key(i);
      if (!key || !key.startsWith(PREFIX + OUTBOX)) continue;
      const entry = parseUnsent(localStorage.getItem(key));
      if (entry) found.push(entry);
    }
  } catch {
    return [];
  }
  return found.sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
}

function parseUnsent(text) {
  try {
    const entry = JSON.parse(text);
    const whole = entry && entry.client_id && entry.session_id && typeof entry.content === 'string';
    return whole ? { ...entry, files: Array.isArray(entry.files) ? entry.files : [], created_at: entry.created_at || '', state: 'waiting' } : null;
  } catch {
    return null;
  }
}

// Everything of this owner leaves the browser with a logout.
export function forgetAll() {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(PREFIX) && key !== `${PREFIX}theme`) localStorage.removeItem(key);
    }
  } catch {
    // Nothing was kept.
  }
}
