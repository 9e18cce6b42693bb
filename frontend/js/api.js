// The REST door. Every failure is a Problem (RFC 9457), a broken network included, so that views
// have one shape of error to show. All addresses are relative to the page: Mira may live below a
// sub-path.

const BASE = new URL('../', import.meta.url);

export class Problem extends Error {
  constructor({ title, detail, status = 0, errors, type, paths }, retryAfterSeconds = null) {
    super(title || 'Something went wrong');
    this.type = type || 'about:blank';
    this.title = title || 'Something went wrong';
    this.detail = detail || '';
    this.status = status;
    this.errors = Array.isArray(errors) ? errors : [];
    this.paths = Array.isArray(paths) ? paths : []; // of a conflict
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

// Nobody answered, or nobody could: the next try may find her. A refusal stays one.
export const comesAgain = (problem) => problem.status === 0 || problem.status >= 500;

let unauthorised = () => {};

// Called when any request but a login finds that this browser is not logged in.
export function onUnauthorised(listener) {
  unauthorised = listener;
}

// The full address of something of the server's.
export function address(path, query) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

export function socketAddress(query) {
  const url = address('ws/chat', query);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

// ifMatch: the ETag of what is to be changed. tagged: answers { value, etag }.
export async function request(method, path, { query, body, signal, ifMatch = null, tagged = false, login = false } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      signal,
      credentials: 'same-origin',
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(ifMatch ? { 'if-match': ifMatch } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (cause.name === 'AbortError') throw cause;
    throw new Problem({ title: 'Mira cannot be reached', detail: 'The connection to the server failed.' });
  }
  const value = await parse(response);
  if (response.ok) return tagged ? { value, etag: response.headers.get('etag') } : value;
  if (response.status === 401 && !login) unauthorised();
  throw problemOf(response, value);
}

async function parse(response) {
  const text = await response.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemOf(response, value) {
  const seconds = Number(response.headers.get('retry-after'));
  const body = value && typeof value === 'object' ? value : {};
  return new Problem(
    { ...body, title: body.title || `The server answered ${response.status}`, status: response.status },
    Number.isFinite(seconds) && seconds > 0 ? seconds : null,
  );
}

const session = (id) => `api/sessions/${encodeURIComponent(id)}`;
const memory = (id) => `api/memories/${encodeURIComponent(id)}`;

export const api = {
  health: () => request('GET', 'health'),
  login: (body) => request('POST', 'api/login', { body, login: true }),
  logout: () => request('POST', 'api/logout', { login: true }),
  personas: () => request('GET', 'api/personas'),
  history: (query, signal) => request('GET', 'api/chat/history', { query, signal }),
  sessions: (query) => request('GET', 'api/sessions', { query }),
  session: (id) => request('GET', session(id)),
  createSession: (body = {}) => request('POST', 'api/sessions', { body }),
  updateSession: (id, body) => request('PATCH', session(id), { body }),
  deleteSession: (id) => request('DELETE', session(id)),
  moods: (id, query) => request('GET', `${session(id)}/moods`, { query }),
  message: (id) => request('GET', `api/messages/${encodeURIComponent(id)}`),
  receipt: (id) => request('GET', `api/messages/${encodeURIComponent(id)}/receipt`),
  memories: (query, signal) => request('GET', 'api/memories', { query, signal }),
  memory: (id) => request('GET', memory(id)),
  addMemory: (body) => request('POST', 'api/memories', { body }),
  changeMemory: (id, body) => request('PATCH', memory(id), { body }),
  forgetMemory: (id) => request('DELETE', memory(id)),
  memoryStatus: () => request('GET', 'api/memory'),
  pauseMemory: (paused) => request('PATCH', 'api/memory', { body: { paused } }),
  search: (q, signal) => request('GET', 'api/search', { query: { q, limit: 30 }, signal }),
};
