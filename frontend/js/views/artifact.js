// One artifact: seen, edited, compared, restored, renamed, deleted. Edits go out with the tag of what they
// started from; if somebody was faster, both versions are shown and the owner decides.

import { copyButton, h, icon, iconButton, setText, shortDay } from '../dom.js';
import { read, write } from '../storage.js';
import { kindName, madeBy } from '../work-state.js';
import { artifactApi } from '../work-api.js';
import { createBox } from './artifact-box.js';
import { createVersions } from './artifact-versions.js';
import { attempt, createForm, fieldText, inWords, labelled, noteLine, withEndsOf } from './form.js';
import { confirmed } from './confirm.js';
import { conflictView } from './conflict.js';
import { linesView } from './lines.js';
import { createTabs } from './tabs.js';
import { say } from './notices.js';

const DRAWN = new Set(['markdown', 'html', 'svg', 'image']);
const DRAFT_DELAY_MS = 400;

export function createArtifact(store, { show, gone }) {
  const { state } = store;
  let current = null; // { value, etag } as the server has it
  let loading = 0;
  let editor = null;

  const name = h('h3', { class: 'work-title', testid: 'artifact-title' });
  const meta = h('p', { class: 'work-meta', testid: 'artifact-meta' });
  const note = noteLine('artifact-problem');
  const news = h('p', { class: 'work-news', role: 'status', testid: 'artifact-news' });
  const copy = copyButton(() => current?.value.content || '', 'Copy');
  copy.dataset.testid = 'artifact-copy';
  const download = h('a', { class: 'icon-button', title: 'Download', 'aria-label': 'Download', testid: 'artifact-download', download: '' }, icon('download'));
  const edit = iconButton('edit', 'Edit', { testid: 'artifact-edit', onclick: startEdit });
  const rename = h('button', { type: 'button', class: 'quiet small', testid: 'artifact-rename', onclick: startRename }, 'Rename');
  const remove = iconButton('trash', 'Delete', { testid: 'artifact-delete', onclick: () => attempt(remove, note, askToDelete) });
  const actions = h('div', { class: 'work-row' }, edit, copy, download, h('span', { class: 'spacer' }), rename, remove);
  const slot = h('div', { class: 'work-slot' });
  const preview = h('div', { class: 'work-tab' });
  const source = h('div', { class: 'work-tab', testid: 'artifact-source' });
  const box = createBox(preview);
  const versions = createVersions({ show, restored: load });
  const tabs = createTabs({
    label: 'Ways to look at it',
    tabs: [
      { name: 'preview', label: 'Preview', panel: preview, testid: 'artifact-tab-preview' },
      { name: 'source', label: 'Source', panel: source, testid: 'artifact-tab-source' },
      { name: 'versions', label: 'Versions', panel: versions.el, testid: 'artifact-tab-versions' },
    ],
    chosen: drawTab,
  });
  const body = h('div', {}, tabs.el, preview, source, versions.el);
  const el = h('div', { class: 'work-one', testid: 'artifact-view', hidden: true }, name, meta, actions, note, news, slot, body);

  const draftKey = (id) => `artifact.${id}`;

  // --- reading -------------------------------------------------------------------------------------------

  async function load() {
    const mine = ++loading;
    const { id } = state.artifact;
    setText(note, '');
    try {
      const got = await artifactApi.read(id);
      if (mine !== loading || state.artifact?.id !== id) return;
      const first = current?.value.id !== id;
      current = got;
      state.artifact = { ...state.artifact, version: got.value.version, gone: false };
      draw(first);
    } catch (problem) {
      if (mine !== loading) return;
      if (problem.status === 404) {
        setText(note, 'It was deleted.');
        body.hidden = true;
        actions.hidden = true;
      } else {
        setText(note, inWords(problem));
      }
    }
  }

  function draw(first) {
    const { value } = current;
    body.hidden = Boolean(editor);
    actions.hidden = Boolean(editor);
    setText(name, value.name);
    setText(meta, [value.language || kindName(value.type), `version ${value.version}`, shortDay(value.updated_at)].join(' · '));
    download.href = artifactApi.rawAddress(value.id);
    copy.hidden = value.type === 'image';
    edit.hidden = value.type === 'image';
    tabs.offer('source', value.type !== 'image');
    setText(news, '');
    box.clear();
    source.replaceChildren();
    if (first) {
      tabs.show(DRAWN.has(value.type) ? 'preview' : 'source');
      const draft = read(draftKey(value.id));
      if (draft !== null && draft !== fieldText(value.content) && value.type !== 'image') startEdit();
    }
    drawTab(tabs.current);
  }

  function drawTab(tab) {
    if (!current || el.hidden) return;
    const { value } = current;
    if (tab === 'preview') box.show(value);
    if (tab === 'source' && source.childElementCount === 0) source.append(linesView(value.content || '', { label: `Source of ${value.name}` }).el);
    if (tab === 'versions') versions.show(value);
  }

  // Somebody changed it. What is being written stays; what is only looked at follows.
  function follow() {
    const wanted = state.artifact;
    if (!wanted) {
      leave();
      return;
    }
    if (current?.value.id !== wanted.id) {
      leave();
      el.hidden = false;
      setText(name, '');
      setText(meta, 'Reading…');
      load();
    } else if (wanted.gone) {
      setText(news, editor ? 'It was deleted meanwhile. What you wrote is still here: copy it before you leave.' : 'It was deleted.');
      if (!editor) body.hidden = true;
    } else if (wanted.version > current.value.version) {
      if (editor) setText(news, `Version ${wanted.version} was stored meanwhile. You will be asked before anything is replaced.`);
      else load();
    } else if (wanted.etag && wanted.version === current.value.version && wanted.etag !== current.etag) {
      // Another name for the same words.
      const { value } = current;
      current = { value: { ...value, name: wanted.name || value.name, language: wanted.language ?? value.language }, etag: wanted.etag };
      setText(name, current.value.name);
    }
  }

  function leave() {
    loading += 1;
    editor?.keep();
    editor = null;
    current = null;
    slot.replaceChildren();
    box.clear();
    source.replaceChildren();
    versions.clear();
    setText(news, '');
    setText(note, '');
    body.hidden = true;
    actions.hidden = true;
  }

  // --- writing -------------------------------------------------------------------------------------------

  function startEdit() {
    if (editor || !current) return;
    editor = createEditor(current, {
      draftKey: draftKey(current.value.id),
      saved(got) {
        current = got;
        state.artifact = { ...state.artifact, version: got.value.version };
        stopEdit();
        say(`Stored as version ${got.value.version}.`);
      },
      cancel: stopEdit,
    });
    slot.replaceChildren(editor.el);
    body.hidden = true;
    actions.hidden = true;
    setText(news, editor.restored ? 'What you had not stored last time is back.' : '');
    editor.focus();
  }

  function stopEdit() {
    editor = null;
    slot.replaceChildren();
    draw(false);
    if (state.artifact?.version > current.value.version) load();
    edit.focus();
  }

  function startRename() {
    const { value } = current;
    const field = h('input', { type: 'text', maxlength: '200', required: true, value: value.name, testid: 'artifact-rename-field' });
    const form = createForm({
      testid: 'artifact-rename-form',
      fields: [labelled('Name', field)],
      action: 'Rename',
      async save() {
        const renamed = await artifactApi.rename(value.id, { name: field.value.trim() });
        current = { value: { ...current.value, name: renamed.name, updated_at: renamed.updated_at }, etag: renamed.etag || current.etag };
        stop();
        draw(false);
      },
      cancel: stop,
    });
    function stop() {
      slot.replaceChildren();
      rename.focus();
    }
    slot.replaceChildren(form.el);
    field.select();
  }

  async function askToDelete() {
    const { value } = current;
    if (!(await confirmed({ title: 'Delete this artifact?', text: `“${value.name}” and its ${value.version === 1 ? 'only version' : 'versions'} go. This cannot be undone.`, action: 'Delete it' }))) return;
    await artifactApi.remove(value.id);
    write(draftKey(value.id), null);
    say('Deleted.');
    gone();
  }

  store.on(['artifact'], follow);
  return { el };
}

// A field for the whole text. It starts from `base` ({ value, etag }) and goes out with its tag.
function createEditor(base, { draftKey, saved, cancel }) {
  let from = base;
  let timer = 0;
  const draft = read(draftKey);
  const restored = draft !== null && draft !== fieldText(base.value.content);
  const field = h('textarea', { class: 'code-field tall', spellcheck: 'false', testid: 'artifact-field', value: restored ? draft : fieldText(base.value.content), oninput: later });
  const choices = h('div', { class: 'work-slot' });

  function later() {
    clearTimeout(timer);
    timer = setTimeout(keep, DRAFT_DELAY_MS);
  }

  function keep() {
    clearTimeout(timer);
    write(draftKey, field.value === fieldText(from.value.content) ? null : field.value);
  }

  async function store_() {
    try {
      const got = await artifactApi.write(from.value.id, { content: withEndsOf(from.value.content, field.value) }, from.etag);
      clearTimeout(timer);
      write(draftKey, null);
      saved(got);
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      await showConflict();
    }
  }

  async function showConflict() {
    keep();
    const theirs = await artifactApi.read(from.value.id);
    // Only its name changed: there is nothing to choose between.
    if (theirs.value.version === from.value.version) {
      from = theirs;
      await store_();
      return;
    }
    const who = theirs.value.author ? `Version ${theirs.value.version} was stored by ${madeBy(theirs.value.author)}` : `Version ${theirs.value.version} was stored`;
    choices.replaceChildren(conflictView({
      who: `${who} after you began with version ${from.value.version}.`,
      theirs: fieldText(theirs.value.content),
      mine: field.value,
      keepLabel: `Store yours as version ${theirs.value.version + 1}`,
      keepMine: (button, note) => attempt(button, note, async () => {
        from = theirs;
        choices.replaceChildren();
        await store_();
      }),
      takeTheirs() {
        write(draftKey, null);
        saved(theirs);
      },
    }));
    choices.scrollIntoView({ block: 'nearest' });
  }

  function discard() {
    clearTimeout(timer);
    write(draftKey, null);
    cancel();
  }

  async function askToDiscard() {
    if (field.value === fieldText(from.value.content) || await confirmed({ title: 'Drop your changes?', text: 'What you wrote here since the last version goes.', action: 'Drop them' })) discard();
  }

  const form = createForm({ testid: 'artifact-editor', label: 'Edit', fields: [labelled('Content', field)], action: 'Store a new version', save: store_, cancel: askToDiscard });
  return { el: h('div', {}, form.el, choices), focus: () => field.focus(), keep, restored };
}
