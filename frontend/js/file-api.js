// The REST door to files, what she can do, and what waits for the owner's word; an upload tells how far it is.

import { Problem, address, request } from './api.js';

const one = encodeURIComponent;
const file = (id) => `api/files/${one(id)}`;

export const fileApi = {
  list: (query, signal) => request('GET', 'api/files', { query, signal }),
  read: (id) => request('GET', file(id)),
  remove: (id) => request('DELETE', file(id)),
  retry: (id) => request('POST', `${file(id)}/retry`),
  text: (id, page, signal) => request('GET', `${file(id)}/text`, { query: { page }, signal }),
};

export const approvalApi = {
  list: () => request('GET', 'api/approvals', { query: { limit: 200 } }),
  approve: (id) => request('POST', `api/approvals/${one(id)}/approve`),
  deny: (id) => request('POST', `api/approvals/${one(id)}/deny`),
};

export const tools = () => request('GET', 'api/tools');

export const contentAddress = (id) => address(`${file(id)}/content`).href;

// A picture while a call draws it.
export const sketchAddress = (call) => address(`api/sketches/${one(call.tool_call_id)}?n=${call.sketch}`).href;

// Answers { done, cancel }: done is a promise of the stored file. fetch tells nothing of what it has sent.
export function upload(blob, name, { projectId = null, progress = () => {} } = {}) {
  const sender = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    sender.upload.addEventListener('progress', (event) => {
      if (event.lengthComputable && event.total > 0) progress(event.loaded / event.total);
    });
    sender.addEventListener('load', () => {
      const value = parsed(sender.responseText);
      if (sender.status >= 200 && sender.status < 300 && value?.id) resolve(value);
      else reject(problemOf(sender, value));
    });
    sender.addEventListener('error', () => reject(new Problem({ title: 'The upload broke off', detail: 'The connection to the server failed.' })));
    sender.addEventListener('abort', () => reject(new DOMException('cancelled', 'AbortError')));
    const form = new FormData();
    form.append('file', blob, name);
    sender.open('POST', address(projectId ? `api/projects/${one(projectId)}/files` : 'api/files').href);
    sender.setRequestHeader('accept', 'application/json');
    sender.send(form);
  });
  return { done, cancel: () => sender.abort() };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemOf(sender, value) {
  const body = value && typeof value === 'object' ? value : {};
  const seconds = Number(sender.getResponseHeader('retry-after'));
  return new Problem({ ...body, title: body.title || `The server answered ${sender.status}`, status: sender.status }, seconds > 0 ? seconds : null);
}
