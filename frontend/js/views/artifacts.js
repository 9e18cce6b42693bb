// The artifact panel: what the conversation's project holds, something new, and the one that is open
// (artifact.js).

import { h, icon, iconButton, setText, shortDay } from '../dom.js';
import { KINDS, kindName, sizeWords } from '../work-state.js';
import { artifactApi } from '../work-api.js';
import { createArtifact } from './artifact.js';
import { choice, createForm, labelled } from './form.js';
import { createList } from './pages.js';

const IMAGE_TYPES = 'image/png,image/jpeg,image/gif,image/webp';
const DRAFT_TITLE = 'New artifact';

const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(new Error('The file cannot be read.'));
  reader.readAsDataURL(file);
});

// save(values) may reject with a Problem.
function artifactForm({ save, cancel }) {
  const name = h('input', { type: 'text', maxlength: '200', required: true, autocomplete: 'off', testid: 'artifact-name' });
  const kind = choice(KINDS, 'markdown', { testid: 'artifact-type', onchange: drawKind });
  const language = h('input', { type: 'text', maxlength: '40', autocomplete: 'off', testid: 'artifact-language', placeholder: 'rust, python…' });
  const content = h('textarea', { rows: '8', class: 'code-field', spellcheck: 'false', testid: 'artifact-content' });
  const file = h('input', { type: 'file', accept: IMAGE_TYPES, testid: 'artifact-file' });
  const languageField = labelled('Language', language);
  const contentField = labelled('Content', content);
  const fileField = labelled('Picture', file, 'PNG, JPEG, GIF or WebP, up to 8 MB.');

  function drawKind() {
    const image = kind.value === 'image';
    languageField.hidden = kind.value !== 'code';
    contentField.hidden = image;
    fileField.hidden = !image;
  }

  const form = createForm({
    testid: 'artifact-form',
    label: DRAFT_TITLE,
    fields: [labelled('Name', name), labelled('Type', kind), languageField, contentField, fileField],
    action: 'Make it',
    async save() {
      const image = kind.value === 'image';
      if (image && !file.files[0]) throw new Error('Choose a picture first.');
      await save({
        name: name.value.trim(),
        type: kind.value,
        content: image ? await dataUrl(file.files[0]) : content.value,
        ...(kind.value === 'code' && language.value.trim() ? { language: language.value.trim() } : {}),
      });
    },
    cancel,
  });
  drawKind();
  return form;
}

export function createArtifactsPanel(store, work, { close, open, show }) {
  const { state } = store;
  const title = h('h2', { id: 'artifacts-title' }, 'Artifacts');
  const back = iconButton('prev', 'All artifacts', { testid: 'artifact-back', hidden: true, onclick: toList });
  const lead = h('p', { class: 'work-lead', testid: 'artifacts-lead' });
  const choose = h('button', { type: 'button', class: 'quiet small', testid: 'artifacts-choose', onclick: () => open('projects') }, icon('folder'), 'Choose a project');
  const addButton = h('button', { type: 'button', class: 'quiet small', testid: 'artifact-add', onclick: startAdd }, icon('plus'), 'New artifact');
  const addSlot = h('div', { class: 'work-slot' }, addButton);
  const list = createList({
    testid: 'artifact-list',
    label: 'Artifacts',
    page: () => state.artifacts,
    row: () => artifactRow(),
    nothing: () => 'Nothing here yet. Ask her to write something for the project, or make one yourself.',
    more: work.moreArtifacts,
    again: work.readArtifacts,
  });
  const listView = h('div', {}, lead, choose, addSlot, list.el);
  const one = createArtifact(store, { show, gone: toList });
  const el = h('aside', { class: 'panel work-panel', role: 'dialog', 'aria-labelledby': 'artifacts-title', testid: 'artifacts-panel' },
    h('div', { class: 'panel-top' }, back, title, h('span', { class: 'spacer' }), iconButton('close', 'Close', { testid: 'artifacts-close', onclick: close })),
    listView, one.el);

  function artifactRow() {
    const sign = h('span', { class: 'work-sign' }, icon('artifact'));
    const name = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const button = h('button', { type: 'button', class: 'work-open', testid: 'artifact', onclick: () => work.openArtifact(row.dataset.artifactId) }, sign, h('span', { class: 'work-two' }, name, meta));
    const row = h('li', { class: 'work-item flat' }, button);
    return {
      el: row,
      update(artifact) {
        row.dataset.artifactId = artifact.id;
        setText(name, artifact.name);
        setText(meta, [artifact.language || kindName(artifact.type), `version ${artifact.version}`, sizeWords(artifact.size), shortDay(artifact.updated_at)].filter(Boolean).join(' · '));
      },
    };
  }

  function startAdd() {
    const projectId = state.project?.id;
    const form = artifactForm({
      async save(values) {
        const made = await artifactApi.create({ project_id: projectId, ...values });
        stopAdd();
        work.openArtifact(made.id);
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

  function toList() {
    const id = state.artifact?.id;
    state.artifact = null;
    store.touch('artifact');
    draw();
    (id && list.rowOf(id)?.el.querySelector('button') || addButton).focus();
  }

  function draw() {
    if (state.panel !== 'artifacts') return;
    const { project } = state;
    const single = Boolean(state.artifact);
    back.hidden = !single;
    listView.hidden = single;
    one.el.hidden = !single;
    if (single) return;
    setText(lead, project ? (project.name ? `Of the project ${project.name}.` : '') : 'This conversation belongs to no project, and artifacts belong to one.');
    lead.hidden = !lead.textContent;
    choose.hidden = Boolean(project);
    addSlot.hidden = !project;
    list.el.hidden = !project;
    list.draw();
  }

  function opened() {
    if (state.panel !== 'artifacts') return;
    draw();
    if (state.project) work.readArtifacts();
  }

  store.on(['artifacts', 'artifact', 'project'], draw);
  store.on(['panel'], opened);
  return el;
}
