// One file of a repository: seen with its lines, who wrote them, changed, renamed, deleted. A change goes
// out with the sha it started from; if somebody was faster, the owner's text stays and both are shown.

import { copyButton, h, icon, iconButton, setText, shortDay } from '../dom.js';
import { read, write } from '../storage.js';
import { gitApi } from '../work-api.js';
import { sizeWords } from '../work-state.js';
import { attempt, createForm, fieldText, inWords, labelled, noteLine, withEndsOf } from './form.js';
import { confirmed } from './confirm.js';
import { conflictView } from './conflict.js';
import { linesView } from './lines.js';
import { say } from './notices.js';

const DRAFT_DELAY_MS = 400;

export function createFile(at, { closed }) {
  let current = null; // the server's answer, with its path
  let path = null;
  let reading = 0;
  let editor = null;
  let lines = null;
  let picked = null;

  const back = iconButton('prev', 'Back to the files', { testid: 'file-back', onclick: () => leave() });
  const name = h('span', { class: 'path', testid: 'file-path' });
  const meta = h('p', { class: 'work-meta', testid: 'file-meta' });
  const note = noteLine('file-problem');
  const copy = copyButton(() => current?.content || '', 'Copy');
  const edit = iconButton('edit', 'Edit', { testid: 'file-edit', onclick: startEdit });
  const blame = h('button', { type: 'button', class: 'quiet small', testid: 'file-blame', 'aria-pressed': 'false', onclick: () => attempt(blame, note, toggleBlame) }, 'Who wrote it');
  const history = h('button', { type: 'button', class: 'quiet small', testid: 'file-history', onclick: () => at.openHistory(path) }, 'History');
  const rename = h('button', { type: 'button', class: 'quiet small', testid: 'file-rename', onclick: startRename }, 'Rename');
  const remove = iconButton('trash', 'Delete', { testid: 'file-delete', onclick: () => attempt(remove, note, askToDelete) });
  const ask = h('button', { type: 'button', class: 'quiet small', testid: 'file-ask', onclick: askAbout }, icon('message'), h('span', {}, 'Ask about it'));
  const actions = h('div', { class: 'work-row' }, edit, copy, ask, blame, history, h('span', { class: 'spacer' }), rename, remove);
  const slot = h('div', { class: 'work-slot' });
  const body = h('div', { class: 'work-slot', testid: 'file-lines' });
  const el = h('div', { class: 'work-one', testid: 'file-view', hidden: true }, h('div', { class: 'work-row file-head' }, back, name), meta, actions, note, slot, body);

  const draftKey = () => `file.${at.id}.${path}`;

  // --- reading -------------------------------------------------------------------------------------------

  async function open(next, { line = null } = {}) {
    if (editor && next !== path) editor.keep();
    path = next;
    editor = null;
    picked = null;
    slot.replaceChildren();
    body.replaceChildren();
    el.hidden = false;
    setText(name, path);
    setText(meta, 'Reading…');
    actions.hidden = true;
    back.focus();
    await load(line);
  }

  async function load(line = null) {
    const mine = ++reading;
    setText(note, '');
    try {
      const got = await gitApi.read(at.projectId, at.id, path);
      if (mine !== reading) return;
      current = got;
      draw(line);
    } catch (problem) {
      if (mine !== reading) return;
      current = null;
      actions.hidden = true;
      setText(meta, '');
      setText(note, inWords(problem));
    }
  }

  const isText = () => current && current.encoding !== 'base64';

  function draw(line) {
    setText(meta, [current.language, sizeWords(current.size), current.modified ? (current.sha ? 'with changes that are not committed' : 'not in the repository yet') : null].filter(Boolean).join(' · '));
    actions.hidden = Boolean(editor);
    for (const button of [edit, copy, blame, ask]) button.hidden = !isText();
    blame.setAttribute('aria-pressed', 'false');
    drawAsk();
    body.hidden = Boolean(editor);
    if (!isText()) {
      body.replaceChildren(h('p', { class: 'work-empty' }, 'Not text: it is not shown here.'));
      lines = null;
      return;
    }
    lines = linesView(current.content || '', {
      label: path,
      mark: line ? { start: line, end: line } : null,
      choose(start, end) {
        picked = { start, end };
        drawAsk();
      },
    });
    body.replaceChildren(lines.el);
    if (line) lines.reveal();
    const draft = read(draftKey());
    if (!editor && draft !== null && draft !== fieldText(current.content)) startEdit();
  }

  function drawAsk() {
    const words = !picked ? 'Ask about it' : picked.start === picked.end ? `Ask about line ${picked.start}` : `Ask about lines ${picked.start} to ${picked.end}`;
    setText(ask.querySelector('span'), words);
  }

  function askAbout() {
    const selection = picked ? { start_line: picked.start, end_line: picked.end, text: lines.text(picked.start, picked.end) } : null;
    at.ask({ file_path: path, ...(current.language ? { language: current.language } : {}), ...(selection ? { selection } : {}) });
  }

  async function toggleBlame() {
    const on = blame.getAttribute('aria-pressed') !== 'true';
    blame.setAttribute('aria-pressed', String(on));
    if (!on) {
      for (const cell of body.querySelectorAll('.line-who')) cell.remove();
      return;
    }
    const answer = await gitApi.blame(at.projectId, at.id, path);
    const rows = body.querySelectorAll('tr[data-line]');
    for (const row of rows) row.prepend(h('td', { class: 'line-who' }));
    for (const range of answer.ranges) {
      const cell = rows[range.start_line - 1]?.firstChild;
      if (!cell) continue;
      cell.append(h('button', { type: 'button', class: 'text-button', title: range.summary, onclick: () => at.openCommit(range.sha) }, `${range.author.name} ${shortDay(range.author.date)}`));
    }
  }

  // --- writing -------------------------------------------------------------------------------------------

  function startEdit() {
    if (editor || !isText()) return;
    editor = createEditor(at, path, current, {
      draftKey: draftKey(),
      async saved() {
        stopEdit();
        at.changed();
        await load();
      },
      cancel: stopEdit,
    });
    slot.replaceChildren(editor.el);
    actions.hidden = true;
    body.hidden = true;
    setText(note, editor.restored ? 'What you had not committed last time is back.' : '');
    editor.focus();
  }

  function stopEdit() {
    editor = null;
    slot.replaceChildren();
    actions.hidden = false;
    body.hidden = false;
    setText(note, '');
    edit.focus();
  }

  function startRename() {
    const to = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false', value: path, testid: 'file-rename-to' });
    const message = h('input', { type: 'text', autocomplete: 'off', testid: 'file-rename-message' });
    const stop = () => {
      slot.replaceChildren();
      rename.focus();
    };
    const form = createForm({
      testid: 'file-rename-form',
      fields: [labelled('New path', to), labelled('Commit message', message, 'Without one it names the file.')],
      action: 'Rename and commit',
      async save() {
        const next = to.value.trim();
        await gitApi.rename(at.projectId, at.id, { from: path, to: next, ...(message.value.trim() ? { commit_message: message.value.trim() } : {}) });
        await open(next);
        at.changed();
      },
      cancel: stop,
    });
    slot.replaceChildren(form.el);
    to.focus();
    to.setSelectionRange(to.value.length, to.value.length);
  }

  async function askToDelete() {
    if (!(await confirmed({ title: 'Delete this file?', text: `“${path}” goes with a commit. Earlier versions stay in the history.`, action: 'Delete it' }))) return;
    await gitApi.remove(at.projectId, at.id, path, { expected_sha: current.sha || null });
    write(draftKey(), null);
    say('Deleted, with a commit.');
    leave();
    at.changed();
  }

  function leave() {
    const was = path;
    close();
    closed(was);
  }

  function close() {
    reading += 1;
    editor?.keep();
    editor = null;
    current = null;
    path = null;
    lines = null;
    el.hidden = true;
    slot.replaceChildren();
    body.replaceChildren();
  }

  return {
    el,
    open,
    close,
    // Something in the repository changed: what is only looked at is read again.
    refresh() {
      if (path && !editor && !el.hidden) load();
    },
  };
}

function createEditor(at, path, base, { draftKey, saved, cancel }) {
  let from = base;
  let timer = 0;
  const draft = read(draftKey);
  const restored = draft !== null && draft !== fieldText(base.content);
  const field = h('textarea', { class: 'code-field tall', spellcheck: 'false', testid: 'file-field', value: restored ? draft : fieldText(base.content), oninput: later });
  const message = h('input', { type: 'text', autocomplete: 'off', testid: 'file-message', placeholder: 'What the commit says' });
  const choices = h('div', { class: 'work-slot' });

  function later() {
    clearTimeout(timer);
    timer = setTimeout(keep, DRAFT_DELAY_MS);
  }

  function keep() {
    clearTimeout(timer);
    write(draftKey, field.value === fieldText(from.content) ? null : field.value);
  }

  async function commit() {
    try {
      await gitApi.write(at.projectId, at.id, path, { content: withEndsOf(from.content, field.value), ...(from.sha ? { expected_sha: from.sha } : {}), ...(message.value.trim() ? { commit_message: message.value.trim() } : {}) });
    } catch (problem) {
      if (problem.status !== 409) throw problem;
      await showConflict(problem);
      return;
    }
    clearTimeout(timer);
    write(draftKey, null);
    say('Committed.');
    await saved();
  }

  // Who was faster: the newest commit of this file, where there is one.
  async function winner() {
    try {
      const { commits } = await gitApi.commits(at.projectId, at.id, { path, limit: 1 });
      const [commit] = commits;
      return commit ? `${commit.author?.name || 'Somebody'} changed it meanwhile: “${commit.summary}” (${String(commit.sha).slice(0, 8)}).` : null;
    } catch {
      return null;
    }
  }

  async function showConflict(problem) {
    keep();
    const theirs = await gitApi.read(at.projectId, at.id, path).catch(() => null);
    // The same blob: what stands in the way is no commit, and there is nothing to choose between.
    if (!theirs || theirs.sha === from.sha) throw problem;
    choices.replaceChildren(conflictView({
      who: (await winner()) || inWords(problem),
      theirs: fieldText(theirs.content),
      mine: field.value,
      keepLabel: 'Commit yours on top',
      keepMine: (button, note) => attempt(button, note, async () => {
        from = theirs;
        choices.replaceChildren();
        await commit();
      }),
      async takeTheirs() {
        write(draftKey, null);
        await saved();
      },
    }));
    choices.scrollIntoView({ block: 'nearest' });
  }

  async function askToDiscard() {
    if (field.value !== fieldText(from.content) && !(await confirmed({ title: 'Drop your changes?', text: 'What you wrote here since the last commit goes.', action: 'Drop them' }))) return;
    clearTimeout(timer);
    write(draftKey, null);
    cancel();
  }

  const form = createForm({ testid: 'file-editor', label: `Edit ${path}`, fields: [labelled('Content', field), labelled('Commit message', message, 'Without one it names the file.')], action: 'Commit', save: commit, cancel: askToDiscard });
  return { el: h('div', {}, form.el, choices), focus: () => field.focus(), keep, restored };
}
