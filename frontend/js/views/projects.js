// The projects panel: which one this conversation belongs to, and all of them, to be searched, made,
// changed and deleted.

import { h, icon, iconButton, setText } from '../dom.js';
import { plural } from '../memory-state.js';
import { projectApi } from '../work-api.js';
import { attempt, checkbox, createForm, inWords, labelled, noteLine } from './form.js';
import { askToRemove } from './losses.js';
import { createList } from './pages.js';
import { say } from './notices.js';

const DELAY_MS = 200;

const tagsOf = (text) => text.split(',').map((tag) => tag.trim()).filter(Boolean);

// The fields of a project. save(values) may reject with a Problem.
function projectForm({ project = null, save, cancel }) {
  const name = h('input', { type: 'text', maxlength: '200', required: true, autocomplete: 'off', testid: 'project-name', value: project?.name || '' });
  const description = h('textarea', { rows: '2', testid: 'project-description', value: project?.description || '' });
  const tags = h('input', { type: 'text', autocomplete: 'off', testid: 'project-tags', value: (project?.tags || []).join(', '), placeholder: 'garden, 2027' });
  const instructions = h('textarea', { rows: '4', testid: 'project-instructions', value: project?.instructions || '', placeholder: 'Answer in German. Keep to the metric system.' });
  const careful = h('input', { type: 'checkbox', testid: 'project-approvals', checked: project?.approvals === 'writes' });
  return createForm({
    testid: 'project-form',
    label: project ? `Change ${project.name}` : 'New project',
    fields: [
      labelled('Name', name),
      labelled('What it is about', description),
      labelled('Tags', tags, 'With commas between them.'),
      labelled('Instructions', instructions, 'She is told this in every conversation of the project.'),
      checkbox('Ask me first', careful, 'She waits for your word before she changes anything in this project, not only before she reaches outside after reading what strangers wrote.'),
    ],
    action: project ? 'Save' : 'Make it',
    save: () => save({ name: name.value.trim(), description: description.value.trim(), tags: tagsOf(tags.value), instructions: instructions.value, approvals: careful.checked ? 'writes' : 'outside' }),
    cancel,
  });
}

const listed = (words) => new Intl.ListFormat('en').format(words);

function deletionWords(name, { artifacts = 0, versions = 0, sessions = 0, repos = 0, files = 0 }) {
  const gone = [
    artifacts > 0 ? `${plural(artifacts, 'artifact')} (${plural(versions, 'version')})` : null,
    files > 0 ? plural(files, 'file') : null,
    repos > 0 ? `${plural(repos, 'repository', 'repositories')} as fetched here` : null,
  ].filter(Boolean);
  return [
    gone.length > 0 ? `What goes with “${name}”: ${listed(gone)}. This cannot be undone.` : `“${name}” holds no artifacts, files or repositories.`,
    sessions > 0 ? `${plural(sessions, 'conversation')} ${sessions === 1 ? 'leaves' : 'leave'} the project and ${sessions === 1 ? 'stays' : 'stay'}, and so does what she remembers.` : 'Conversations and memories stay.',
  ].join(' ');
}

export function createProjectsPanel(store, chat, work, { close, open }) {
  const { state } = store;
  let timer = 0;
  const here = h('section', { class: 'work-here', 'aria-label': 'This conversation', testid: 'project-here' });
  const hereNote = noteLine('project-here-problem');
  const field = h('input', { type: 'search', 'aria-label': 'Search projects', placeholder: 'Search projects', autocomplete: 'off', spellcheck: 'false', testid: 'project-search', oninput: later });
  const addButton = h('button', { type: 'button', class: 'quiet small', testid: 'project-add', onclick: startAdd }, icon('plus'), 'New project');
  const addSlot = h('div', { class: 'work-slot' }, addButton);
  const list = createList({
    testid: 'project-list',
    label: 'Projects',
    page: () => state.projects,
    row: () => projectRow(),
    nothing: (page) => (page.q ? `No project matches “${page.q}”.` : 'No projects yet. A project gathers conversations, artifacts and repositories, and tells her how to work there.'),
    more: work.moreProjects,
    again: () => work.searchProjects(state.projects.q),
  });
  const el = h('aside', { class: 'panel work-panel', role: 'dialog', 'aria-labelledby': 'projects-title', testid: 'projects-panel' },
    h('div', { class: 'panel-top' }, h('h2', { id: 'projects-title' }, 'Projects'), iconButton('close', 'Close', { testid: 'projects-close', onclick: close })),
    here, hereNote, field, addSlot, list.el);

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => work.searchProjects(field.value.trim()), DELAY_MS);
  }

  // --- this conversation -------------------------------------------------------------------------------

  function drawHere() {
    const { project } = state;
    const held = here.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
    here.replaceChildren(...(project ? [
      h('p', { class: 'work-lead' }, 'This conversation belongs to ', h('b', { testid: 'project-current' }, project.name || 'a project'), '.'),
      h('div', { class: 'work-row' },
        h('button', { type: 'button', class: 'quiet small', testid: 'project-artifacts', onclick: () => open('artifacts') }, icon('artifact'), 'Artifacts'),
        h('button', { type: 'button', class: 'quiet small', testid: 'project-repos', onclick: () => open('repos') }, icon('branch'), 'Repositories'),
        h('button', { type: 'button', class: 'quiet small', testid: 'project-new-session', onclick: (event) => attempt(event.currentTarget, hereNote, () => chat.createSession({ project_id: project.id })) }, icon('plus'), 'New conversation in it'),
        h('button', { type: 'button', class: 'quiet small', testid: 'project-leave', onclick: (event) => attempt(event.currentTarget, hereNote, () => work.joinProject(null)) }, icon('out'), 'Take it out')),
    ] : [h('p', { class: 'work-lead' }, 'This conversation belongs to no project. Choose one below, or make one.')]));
    if (held) here.querySelector(`[data-testid="${CSS.escape(held)}"]`)?.focus();
  }

  // --- one project ---------------------------------------------------------------------------------------

  function projectRow() {
    const name = h('span', { class: 'work-name' });
    const tags = h('span', { class: 'work-tags' });
    const text = h('p', { class: 'work-text' });
    const note = noteLine();
    const use = h('button', { type: 'button', class: 'quiet small', testid: 'project-use', onclick: () => attempt(use, note, () => work.joinProject(shown.id)) }, 'Use it here');
    const inUse = h('span', { class: 'work-meta' }, 'in use here');
    const edit = iconButton('edit', 'Change', { testid: 'project-edit', onclick: startEdit });
    const remove = iconButton('trash', 'Delete', { testid: 'project-delete', onclick: () => attempt(remove, note, askToDelete) });
    const body = h('div', { class: 'work-body' }, h('div', { class: 'work-top' }, name, tags), text, h('div', { class: 'work-row' }, use, inUse, h('span', { class: 'spacer' }), edit, remove));
    const row = h('li', { class: 'work-item', testid: 'project' }, body, note);
    let shown = null;
    let form = null;

    // What was read for the list may lack the instructions' newest words: the form starts from the server.
    async function startEdit() {
      if (form) return;
      const fresh = await projectApi.read(shown.id).catch((problem) => {
        setText(note, inWords(problem));
        return null;
      });
      if (!fresh || form) return;
      setText(note, '');
      form = projectForm({
        project: fresh,
        async save(values) {
          await work.changeProject(shown.id, values);
          stopEdit();
        },
        cancel: stopEdit,
      });
      body.hidden = true;
      body.after(form.el);
      form.focus();
    }

    function stopEdit() {
      form?.el.remove();
      form = null;
      body.hidden = false;
      edit.focus();
    }

    async function askToDelete() {
      const { id, name: called } = shown;
      const gone = await askToRemove({
        look: () => projectApi.deletion(id),
        title: 'Delete this project?',
        words: (counts) => deletionWords(called, counts),
        action: 'Delete it',
        remove: (force) => work.removeProject(id, force),
      });
      if (!gone) return;
      say('Deleted.');
    }

    return {
      el: row,
      update(project) {
        shown = project;
        row.dataset.projectId = project.id;
        const current = state.project?.id === project.id;
        row.classList.toggle('current', current);
        setText(name, project.name);
        const asks = project.approvals === 'writes' ? [h('span', { class: 'work-meta', testid: 'project-asks' }, 'asks first')] : [];
        tags.replaceChildren(...(project.tags || []).map((tag) => h('span', { class: 'tag' }, tag)), ...asks);
        setText(text, project.description || '');
        use.hidden = current;
        inUse.hidden = !current;
        use.setAttribute('aria-label', `Use ${project.name} here`);
        edit.setAttribute('aria-label', `Change ${project.name}`);
        remove.setAttribute('aria-label', `Delete ${project.name}`);
      },
    };
  }

  function startAdd() {
    const form = projectForm({
      async save(values) {
        const made = await work.createProject(values);
        stopAdd();
        say('Made.', state.sessionId && !state.project ? { label: 'Use it here', run: () => work.joinProject(made.id).catch((problem) => say(inWords(problem))) } : null);
      },
      cancel: stopAdd,
    });
    addSlot.replaceChildren(form.el);
    form.focus();
  }

  function stopAdd() {
    addSlot.replaceChildren(addButton);
    addButton.focus();
  }

  function draw() {
    if (state.panel !== 'projects') return;
    drawHere();
    list.draw();
  }

  function opened() {
    if (state.panel !== 'projects') return;
    draw();
    work.searchProjects(field.value.trim());
  }

  store.on(['projects', 'project'], draw);
  store.on(['panel'], opened);
  return el;
}
