// The versions of an artifact: who made each and where, what changed between any two, and the way back.

import { clock, h, iconButton, setText, shortDay } from '../dom.js';
import { emptyPage, createPager } from '../paging.js';
import { madeBy, sizeWords } from '../work-state.js';
import { artifactApi } from '../work-api.js';
import { choice, attempt, inWords, noteLine } from './form.js';
import { diffView } from './diff.js';
import { linesView } from './lines.js';
import { createList } from './pages.js';
import { say } from './notices.js';

const PAGE = 50;

// show({ messageId }): brings the message that made a version on screen. restored(): there is a newer version now.
export function createVersions({ show, restored }) {
  let page = emptyPage();
  let artifact = null;
  let readFor = null;
  const from = h('span', {});
  const to = h('span', {});
  const compare = h('form', { class: 'work-row compare', testid: 'artifact-compare', onsubmit: runCompare });
  const note = noteLine('versions-problem');
  const result = h('div', { class: 'work-slot', testid: 'artifact-diff' });
  const pager = createPager({
    page: () => page,
    changed: draw,
    async read(cursor) {
      const answer = await artifactApi.versions(artifact.id, { limit: PAGE, cursor });
      return { rows: answer.versions.map((version) => ({ ...version, id: String(version.version) })), cursor: answer.next_cursor };
    },
  });
  const list = createList({ testid: 'version-list', label: 'Versions', page: () => page, row: () => versionRow(), nothing: () => 'No versions.', more: pager.more, again: pager.first });
  const el = h('div', { class: 'work-tab' }, compare, note, result, list.el);

  function versionRow() {
    const name = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const said = h('button', { type: 'button', class: 'text-button', testid: 'version-message', onclick: () => show({ messageId: shown.message_id, sessionId: null }) }, 'where she made it');
    const line = noteLine();
    const look = h('button', { type: 'button', class: 'quiet small', testid: 'version-look', onclick: () => attempt(look, line, toggle) }, 'Look');
    const restore = h('button', { type: 'button', class: 'quiet small', testid: 'version-restore', onclick: () => attempt(restore, line, bringBack) }, 'Restore');
    const content = h('div', { class: 'work-slot' });
    const row = h('li', { class: 'work-item flat', testid: 'version' }, h('div', { class: 'work-row' }, h('span', { class: 'work-two' }, name, meta), h('span', { class: 'spacer' }), look, restore), said, line, content);
    let shown = null;

    async function toggle() {
      if (content.childElementCount > 0) {
        content.replaceChildren();
        setText(look, 'Look');
        return;
      }
      const version = await artifactApi.version(artifact.id, shown.version);
      content.replaceChildren(artifact.type === 'image'
        ? h('img', { class: 'work-picture', src: version.content, alt: `${artifact.name}, version ${shown.version}` })
        : linesView(version.content || '', { label: `Version ${shown.version}` }).el);
      setText(look, 'Fold');
    }

    async function bringBack() {
      await artifactApi.restore(artifact.id, shown.version);
      say(`Version ${shown.version} is the newest again.`);
      await restored();
    }

    return {
      el: row,
      update(version) {
        shown = version;
        row.dataset.version = String(version.version);
        setText(name, `Version ${version.version}`);
        setText(meta, [`by ${madeBy(version.author)}`, `${shortDay(version.created_at)} ${clock(version.created_at)}`, sizeWords(version.size)].filter(Boolean).join(' · '));
        said.hidden = !version.message_id;
        restore.hidden = version.version === artifact.version;
        restore.setAttribute('aria-label', `Restore version ${version.version}`);
        look.setAttribute('aria-label', `Look at version ${version.version}`);
      },
    };
  }

  // Any two: those of the list, which is read further where they are older.
  function drawCompare() {
    const numbers = page.list.map((version) => [String(version.version), `version ${version.version}`]);
    compare.hidden = numbers.length < 2 || artifact?.type === 'image';
    if (compare.hidden) return;
    const before = compare.querySelector('[name=from]')?.value;
    const after = compare.querySelector('[name=to]')?.value;
    const known = (value, fallback) => (numbers.some(([key]) => key === value) ? value : fallback);
    from.replaceChildren(choice(numbers, known(before, numbers[1][0]), { name: 'from', 'aria-label': 'From', testid: 'compare-from' }));
    to.replaceChildren(choice(numbers, known(after, numbers[0][0]), { name: 'to', 'aria-label': 'To', testid: 'compare-to' }));
    if (compare.childElementCount === 0) compare.append(h('span', {}, 'What changed from'), from, h('span', {}, 'to'), to, h('button', { type: 'submit', class: 'quiet small', testid: 'compare-show' }, 'Compare'));
  }

  async function runCompare(event) {
    event.preventDefault();
    const [a, b] = [compare.elements.from.value, compare.elements.to.value];
    setText(note, '');
    try {
      const diff = await artifactApi.diff(artifact.id, a, b);
      result.replaceChildren(
        h('div', { class: 'work-row' }, h('p', { class: 'work-hint' }, `From version ${a} to version ${b}${diff.coarse ? ', roughly' : ''}:`), h('span', { class: 'spacer' }), iconButton('close', 'Close the comparison', { onclick: () => result.replaceChildren() })),
        diffView(diff.hunks || [], { label: `From version ${a} to version ${b}`, truncated: Boolean(diff.truncated) }));
    } catch (problem) {
      setText(note, inWords(problem));
    }
  }

  function draw() {
    if (!artifact) return;
    drawCompare();
    list.draw();
  }

  return {
    el,
    show(value) {
      const key = `${value.id} ${value.version}`;
      const same = artifact?.id === value.id;
      artifact = value;
      if (!same) page = emptyPage();
      if (readFor !== key) pager.first();
      readFor = key;
      draw();
    },
    clear() {
      artifact = null;
      readFor = null;
      pager.drop();
      page = emptyPage();
      result.replaceChildren();
      setText(note, '');
      list.draw();
    },
  };
}
