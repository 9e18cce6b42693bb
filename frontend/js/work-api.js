// The REST door to projects, artifacts and repositories.

import { address, request } from './api.js';

const project = (id) => `api/projects/${encodeURIComponent(id)}`;
const artifact = (id) => `api/artifacts/${encodeURIComponent(id)}`;
const git = (projectId, rest) => `${project(projectId)}/git/${rest}`;
const one = encodeURIComponent;
const pathOf = (path) => path.split('/').map(encodeURIComponent).join('/');

export const projectApi = {
  list: (query, signal) => request('GET', 'api/projects', { query, signal }),
  read: (id) => request('GET', project(id)),
  create: (body) => request('POST', 'api/projects', { body }),
  change: (id, body) => request('PATCH', project(id), { body }),
  deletion: (id) => request('GET', `${project(id)}/deletion`),
  remove: (id, force) => request('DELETE', project(id), { query: { force: force || null } }),
};

export const artifactApi = {
  list: (projectId, query, signal) => request('GET', `${project(projectId)}/artifacts`, { query, signal }),
  create: (body) => request('POST', 'api/artifacts', { body }),
  read: (id, signal) => request('GET', artifact(id), { signal, tagged: true }),
  write: (id, body, etag) => request('PUT', artifact(id), { body, ifMatch: etag, tagged: true }),
  rename: (id, body) => request('PATCH', artifact(id), { body }),
  remove: (id) => request('DELETE', artifact(id)),
  versions: (id, query) => request('GET', `${artifact(id)}/versions`, { query }),
  version: (id, version) => request('GET', `${artifact(id)}/versions/${version}`),
  restore: (id, version) => request('POST', `${artifact(id)}/restore`, { body: { version } }),
  diff: (id, from, to) => request('GET', `${artifact(id)}/diff`, { query: { from, to } }),
  previewLink: (id, version) => request('POST', `${artifact(id)}/preview-link`, { body: version ? { version } : {} }),
  rawAddress: (id, version) => address(`${artifact(id)}/raw`, { version: version || null }).href,
};

export const gitApi = {
  repos: (projectId) => request('GET', git(projectId, 'repos'), { query: { limit: 200 } }),
  attach: (projectId, body) => request('POST', git(projectId, 'attach'), { body }),
  cancel: (projectId, id) => request('POST', git(projectId, `repos/${one(id)}/cancel`)),
  change: (projectId, id, body) => request('PATCH', git(projectId, `repos/${one(id)}`), { body }),
  deletion: (projectId, id) => request('GET', git(projectId, `repos/${one(id)}/deletion`)),
  detach: (projectId, id, force) => request('DELETE', git(projectId, `repos/${one(id)}`), { query: { force: force || null } }),
  sync: (projectId, id, body) => request('POST', git(projectId, `sync/${one(id)}`), { body }),
  tree: (projectId, id, query, signal) => request('GET', git(projectId, `files/${one(id)}/tree`), { query, signal }),
  read: (projectId, id, path, query, signal) => request('GET', git(projectId, `files/${one(id)}/content/${pathOf(path)}`), { query, signal }),
  create: (projectId, id, path, body) => request('POST', git(projectId, `files/${one(id)}/content/${pathOf(path)}`), { body }),
  write: (projectId, id, path, body) => request('PUT', git(projectId, `files/${one(id)}/content/${pathOf(path)}`), { body }),
  remove: (projectId, id, path, query) => request('DELETE', git(projectId, `files/${one(id)}/content/${pathOf(path)}`), { query }),
  rename: (projectId, id, body) => request('POST', git(projectId, `files/${one(id)}/rename`), { body }),
  branches: (projectId, id) => request('GET', git(projectId, `branches/${one(id)}`), { query: { limit: 200 } }),
  branch: (projectId, id, body) => request('POST', git(projectId, `branch/${one(id)}`), { body }),
  commits: (projectId, id, query, signal) => request('GET', git(projectId, `commits/${one(id)}`), { query, signal }),
  diff: (projectId, id, sha) => request('GET', git(projectId, `diff/${one(id)}/${one(sha)}`)),
  status: (projectId, id) => request('GET', git(projectId, `status/${one(id)}`)),
  blame: (projectId, id, path) => request('GET', git(projectId, `blame/${one(id)}/${pathOf(path)}`)),
  search: (projectId, id, q, signal) => request('GET', git(projectId, `search/${one(id)}`), { query: { q }, signal }),
  proposals: (projectId) => request('GET', git(projectId, 'proposals'), { query: { state: 'open', limit: 200 } }),
  proposal: (projectId, id) => request('GET', git(projectId, `proposals/${one(id)}`)),
  apply: (projectId, id) => request('POST', git(projectId, `proposals/${one(id)}/apply`)),
  discard: (projectId, id) => request('POST', git(projectId, `proposals/${one(id)}/discard`)),
};
