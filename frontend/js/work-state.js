// What the page knows of projects, artifacts and repositories, and what their events do to it. Pure
// functions over the store's state; the server is asked in work.js.

import { emptyPage, upsert, without } from './paging.js';

export function emptyWork() {
  return {
    project: null, // the one the conversation on screen belongs to
    projects: emptyPage({ q: '' }),
    artifacts: emptyPage({ projectId: null }),
    artifact: null, // what is known of the open one: id, version, gone?
    repos: emptyPage({ projectId: null }),
    repoId: null, // the repository that is looked at
    proposals: emptyPage({ projectId: null }),
    focusFile: null, // the place in a file the next message is about
  };
}

// The conversation moved to another project: nothing of the old one's lists stays.
export function enterProject(state, projectId) {
  state.artifacts = emptyPage({ projectId });
  state.repos = emptyPage({ projectId });
  state.proposals = emptyPage({ projectId });
  state.repoId = null;
  state.focusFile = null;
}

export const workEvents = {
  project(state, event, out) {
    const project = event.object;
    if (!project?.id) return;
    if (event.action === 'deleted') {
      without(state.projects, project.id);
      if (state.project?.id === project.id) state.project = null;
    } else {
      const known = state.projects.list.some((p) => p.id === project.id);
      if (known || (state.projects.loaded && !state.projects.q && event.action === 'created')) upsert(state.projects, project);
      if (state.project?.id === project.id) state.project = { ...state.project, ...project };
    }
    out.topics.add('projects').add('project');
  },

  artifact(state, event, out) {
    const artifact = event.object;
    if (!artifact?.id) return;
    const { artifacts } = state;
    const open = state.artifact?.id === artifact.id;
    if (event.action === 'deleted') {
      without(artifacts, artifact.id);
      if (open) state.artifact = { ...state.artifact, gone: true };
    } else {
      // The newest change stands first, as the server lists them.
      if (artifacts.loaded && artifact.project_id === artifacts.projectId) {
        without(artifacts, artifact.id);
        upsert(artifacts, artifact);
      }
      if (open) state.artifact = { ...state.artifact, ...artifact };
    }
    out.topics.add('artifacts');
    if (open) out.topics.add('artifact');
  },

  git(state, event, out) {
    const repo = event.object;
    if (!repo?.id) return;
    if (event.action === 'deleted') {
      without(state.repos, repo.id);
      state.proposals.list = state.proposals.list.filter((p) => p.attachment_id !== repo.id);
      out.topics.add('proposals');
    } else if (repo.project_id === state.repos.projectId) {
      upsert(state.repos, repo);
    }
    out.topics.add('repos');
  },

  proposal(state, event, out) {
    const proposal = event.object;
    if (!proposal?.id) return;
    if (event.action === 'deleted') without(state.proposals, proposal.id);
    else if (proposal.project_id === state.proposals.projectId) upsert(state.proposals, told(proposal));
    out.topics.add('proposals');
  },
};

// A list and an event tell a proposal without its text and its lines; what was read of them stays.
export const told = (proposal) => Object.fromEntries(Object.entries(proposal).filter(([name, value]) => value !== null || !['content', 'diff'].includes(name)));

// Those that wait for the owner, of one repository or of all.
export const openProposals = (state, repoId = null) => state.proposals.list.filter((p) => p.state === 'open' && (!repoId || p.attachment_id === repoId));

// --- in words ----------------------------------------------------------------------------------------

export const KINDS = [
  ['markdown', 'Text with formatting'], ['code', 'Code'], ['note', 'Plain note'], ['html', 'Web page'],
  ['svg', 'Drawing (SVG)'], ['image', 'Picture'], ['json', 'JSON'], ['log', 'Log'],
];

export const kindName = (kind) => KINDS.find(([name]) => name === kind)?.[1] || kind;

export const madeBy = (author) => (author === 'mira' ? 'Mira' : 'you');

export function sizeWords(bytes) {
  if (typeof bytes !== 'number') return '';
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(bytes < 10_000 ? 1 : 0)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

// A repository's short name: the end of its address.
export const repoName = (repo) => (repo.repo_url || '').replace(/\/+$/, '').replace(/\.git$/, '').split(/[/:]/).at(-1) || 'repository';

export const REPO_STATES = { cloning: 'being fetched', ready: 'ready', failed: 'failed', cancelled: 'cancelled', syncing: 'syncing' };

const STAGES = { connecting: 'connecting', receiving: 'receiving', resolving: 'putting it together', checking_out: 'writing the files', sending: 'sending' };

// Answers { percent, words }; percent is null while there is no telling.
export function progressOf(repo) {
  const { progress } = repo;
  if (!progress || typeof progress !== 'object') return { percent: null, words: REPO_STATES[repo.status] || repo.status };
  const percent = typeof progress.percent === 'number' ? Math.max(0, Math.min(100, Math.round(progress.percent))) : null;
  const parts = [STAGES[progress.stage] || progress.stage];
  if (progress.total_objects > 0 && progress.stage === 'receiving') parts.push(`${(progress.received_objects || 0).toLocaleString()} of ${progress.total_objects.toLocaleString()} objects`);
  if (progress.received_bytes > 0) parts.push(sizeWords(progress.received_bytes));
  return { percent, words: parts.filter(Boolean).join(', ') };
}
