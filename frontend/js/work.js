// What the owner does with projects and what belongs to them. The lists live in the store; what others
// do comes in by events (work-state.js), and everything is read again after a reconnect.

import { createPager, upsert, without } from './paging.js';
import { enterProject } from './work-state.js';
import { artifactApi, gitApi, projectApi } from './work-api.js';

const PAGE = 50;

export function createWork(store, chat) {
  const { state } = store;
  let followed = null; // the project whose lists the state holds

  const projects = createPager({
    page: () => state.projects,
    changed: () => store.touch('projects'),
    async read(cursor, signal) {
      const page = await projectApi.list({ q: state.projects.q || null, limit: PAGE, cursor }, signal);
      return { rows: page.projects, cursor: page.next_cursor };
    },
  });
  const artifacts = createPager({
    page: () => state.artifacts,
    changed: () => store.touch('artifacts'),
    async read(cursor, signal) {
      const page = await artifactApi.list(state.artifacts.projectId, { limit: PAGE, cursor }, signal);
      return { rows: page.artifacts, cursor: page.next_cursor };
    },
  });
  const repos = createPager({
    page: () => state.repos,
    changed: () => store.touch('repos'),
    async read() {
      return { rows: (await gitApi.repos(state.repos.projectId)).repos, cursor: null };
    },
  });
  const proposals = createPager({
    page: () => state.proposals,
    changed: () => store.touch('proposals'),
    async read() {
      return { rows: (await gitApi.proposals(state.proposals.projectId)).proposals, cursor: null };
    },
  });

  // --- projects ------------------------------------------------------------------------------------

  async function searchProjects(q) {
    if (q !== state.projects.q) Object.assign(state.projects, { q, list: [], cursor: null, loaded: false });
    await projects.first();
  }

  async function createProject(fields) {
    const project = await projectApi.create(fields);
    upsert(state.projects, project);
    store.touch('projects');
    return project;
  }

  async function changeProject(id, fields) {
    const project = await projectApi.change(id, fields);
    upsert(state.projects, project);
    if (state.project?.id === id) state.project = { ...state.project, ...project };
    store.touch('projects', 'project');
    return project;
  }

  async function removeProject(id, force) {
    await projectApi.remove(id, force);
    without(state.projects, id);
    if (state.project?.id === id) state.project = null;
    store.touch('projects', 'project');
  }

  // Null takes the conversation out of its project.
  const joinProject = (id) => chat.updateSession(state.sessionId, { project_id: id });

  // --- following the conversation --------------------------------------------------------------------

  function follow() {
    const id = state.session?.project_id || null;
    if (id === followed) return;
    followed = id;
    for (const pager of [artifacts, repos, proposals]) pager.drop();
    enterProject(state, id);
    state.project = id ? state.projects.list.find((p) => p.id === id) || { id, name: '' } : null;
    store.touch('project', 'artifacts', 'repos', 'proposals', 'focus-file');
    if (id) readProject(id, readLists);
  }

  // then(): once it is known to be there.
  async function readProject(id, then) {
    try {
      const project = await projectApi.read(id);
      if (followed !== id) return;
      state.project = project;
    } catch (problem) {
      if (followed !== id || problem.status !== 404) return;
      state.project = null;
    }
    store.touch('project');
    if (state.project) then();
  }

  // Repositories first: their proposals are known by them.
  async function readLists() {
    await Promise.all([artifacts.first(), repos.first(), proposals.first()]);
  }

  // Events of the account are not told again: what is on screen is read anew, and what the header counts.
  function catchUp() {
    projects.again({ shown: state.panel === 'projects' });
    if (followed) readProject(followed, () => Promise.all([artifacts.again({ shown: state.panel === 'artifacts' }), repos.again(), proposals.again()]));
    if (state.artifact) readArtifact(state.artifact.id);
  }

  // The open one; whoever shows it sees that it is newer, or gone.
  async function readArtifact(id) {
    let now;
    try {
      const { value, etag } = await artifactApi.read(id);
      now = { ...value, etag };
    } catch (problem) {
      if (problem.status !== 404) return;
      now = { gone: true };
    }
    if (state.artifact?.id !== id) return;
    state.artifact = { ...state.artifact, ...now };
    store.touch('artifact');
  }

  // An artifact is opened by whoever names it; the panel shows it.
  function openArtifact(id) {
    state.artifact = { id, gone: false };
    store.touch('artifact');
  }

  store.on(['session'], follow);
  store.on(['greeted'], catchUp);
  return {
    searchProjects, moreProjects: projects.more, createProject, changeProject, removeProject, joinProject,
    readArtifacts: artifacts.first, moreArtifacts: artifacts.more, openArtifact,
    readRepos: repos.first, readProposals: proposals.first,
  };
}
