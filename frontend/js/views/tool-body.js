// The inside of a tool's card, readable where the tool is known, pretty JSON where it is not. What she
// recalled or kept is named by id alone: its words are read when the card is unfolded, and gone when
// they are forgotten.

import { copyButton, h, icon, setText, shortDay } from '../dom.js';
import { nameOf, plural } from '../memory-state.js';
import { memoryText } from '../plain.js';
import { kindName, sizeWords } from '../work-state.js';
import { editsView } from './diff.js';
import { inWords } from './form.js';
import { bodyOf } from './tool-results.js';

const LONG_CHARS = 20_000;
const READ_AT_ONCE = 4;

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const pretty = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));
const shorter = (text) => (text.length > LONG_CHARS ? `${text.slice(0, LONG_CHARS)}\n… (${(text.length - LONG_CHARS).toLocaleString()} more characters)` : text);

export function toolBody(call, context) {
  const args = isObject(call.arguments) ? call.arguments : null;
  const readable = args && (BODIES[call.tool] || bodyOf(call.tool, { facts, textBox, jsonBox }));
  const failed = call.status && call.status !== 'ok';
  const asked = readable ? readable.asked(args, context) : [jsonBox('Asked with', call.arguments)];
  const told = failed && readable?.whenFailed && isObject(call.data) ? readable.got(call.data, context) : [];
  const got = failed ? [reason(call), ...told] : call.data === null || call.data === undefined ? [] : readable?.got && isObject(call.data) ? readable.got(call.data, context) : [jsonBox('What came of it', call.data)];
  return [...asked, ...got].filter(Boolean);
}

function reason(call) {
  const why = typeof call.data?.error === 'string' ? call.data.error : null;
  if (!why && call.tool === 'code_interpreter') return null;
  return why ? h('p', { class: 'tool-reason' }, why) : jsonBox('What came of it', call.data);
}

function jsonBox(title, value) {
  if (value === null || value === undefined || (isObject(value) && Object.keys(value).length === 0)) return null;
  return textBox(title, pretty(value));
}

function textBox(title, text) {
  const pre = h('pre', { tabindex: '0', 'aria-label': title }, shorter(text));
  return h('div', { class: 'tool-box' }, h('div', { class: 'tool-box-top' }, h('span', {}, title), copyButton(() => text, `Copy: ${title}`)), pre);
}

// [[term, words]] without what is not there.
function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return there.length === 0 ? null : h('dl', { class: 'tool-facts' }, there.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, typeof value === 'object' ? pretty(value) : String(value)))));
}

// --- memories ----------------------------------------------------------------------------------------

// A list of memories by id, their words read now.
function memoryList(title, references, { memories, store }) {
  if (references.length === 0) return null;
  const rows = references.map(({ id, why, date }) => {
    const text = h('span', { class: 'tool-memory-text' }, '…');
    const el = h('li', { testid: 'tool-memory', 'data-memory-id': id }, text, h('span', { class: 'tool-memory-meta' }, [date ? shortDay(date) : null, why].filter(Boolean).join(' · ')));
    const gone = () => {
      el.classList.add('gone');
      setText(text, 'Forgotten.');
    };
    return { id, el, text, gone };
  });
  const list = h('ul', { class: 'tool-memories' }, rows.map((row) => row.el));
  readAll(rows, memories);
  const off = store.on(['forgotten', 'memories'], (state) => {
    if (!list.isConnected) off();
    else for (const row of rows) if (state.forgotten.has(row.id)) row.gone();
  });
  return h('div', {}, h('p', { class: 'tool-title' }, title), list);
}

async function readAll(rows, memories) {
  const waiting = [...rows];
  const work = async () => {
    for (let row = waiting.shift(); row; row = waiting.shift()) await readOne(row, memories);
  };
  await Promise.all(Array.from({ length: READ_AT_ONCE }, work));
}

async function readOne(row, memories) {
  try {
    const memory = await memories.find(row.id);
    if (memory) setText(row.text, memoryText(memory));
    else row.gone();
  } catch (problem) {
    setText(row.text, `It cannot be read at the moment: ${inWords(problem)}`);
  }
}

const byId = (ids) => (Array.isArray(ids) ? ids.map((id) => ({ id })) : []);

// --- each tool ---------------------------------------------------------------------------------------

// Where the arguments and a few figures say it all. figures(data): words; anything else of a result is shown
// as it is.
const plainTool = (pairs, figures, known) => ({
  asked: (args) => [facts(pairs(args))],
  got: (data) => {
    const rest = Object.fromEntries(Object.entries(data).filter(([name]) => !known.includes(name)));
    return [facts(figures(data)), jsonBox('What came of it', rest)];
  },
});

const PLACE = ['repository', 'path', 'ref'];

const linesRead = ({ first_line: start, last_line: end, lines: total }) => {
  if (!start) return null;
  return `${start} to ${end ?? total}${total ? ` of ${total}` : ''}`;
};

const artifactMade = (data) => [facts([['Version', data.version], ['Size', sizeWords(data.size)]])];

const BODIES = {
  recall: {
    asked: (args) => [facts([['She asked', args.question]])],
    got: (data, context) => {
      const found = Array.isArray(data.memories) ? data.memories : [];
      return [
        found.length === 0 ? h('p', { class: 'tool-title' }, 'Nothing came up.') : memoryList(`${plural(found.length, 'memory', 'memories')} came up`, found, context),
        data.degraded ? h('p', { class: 'tool-note' }, `Not everything could be compared: ${data.degraded}.`) : null,
      ];
    },
  },
  remember: {
    // The words themselves come from memory, so that a forgotten one is gone from here too.
    asked: (args) => [facts([['About', args.about ? nameOf(args.about) : null], ['Topic', args.topic]])],
    got: (data, context) => {
      if (data.kept) {
        return [
          memoryList('She keeps', [data.memory].filter((m) => m?.id), context),
          memoryList('No longer true', byId(data.superseded), context),
        ];
      }
      if (data.known) return [memoryList('She knew it already', byId([data.known]), context)];
      return [h('p', { class: 'tool-reason' }, `Not kept: ${data.reason || 'it is no fact to keep'}`)];
    },
  },
  forget: {
    asked: () => [],
    got: (data, context) => [
      h('p', { class: 'tool-title' }, `Forgotten: ${plural((data.forgotten || []).length, 'memory', 'memories')}.`),
      (data.unknown || []).length > 0 ? h('p', { class: 'tool-note' }, `Not found: ${plural(data.unknown.length, 'memory', 'memories')}.`) : null,
      memoryList('These messages still say it', Array.isArray(data.sources) ? data.sources : [], context),
    ],
  },
  create_artifact: {
    asked: (args) => [
      facts([['Name', args.name], ['Type', args.type ? kindName(args.type) : null], ['Language', args.language]]),
      typeof args.content === 'string' ? textBox('Content', args.content) : null,
    ],
    got: artifactMade,
  },
  edit_artifact: {
    asked: (args) => [
      Array.isArray(args.edits) ? editsView(args.edits) : null,
      typeof args.content === 'string' ? textBox('Content', args.content) : null,
    ],
    got: artifactMade,
  },
  read_artifact: plainTool(() => [], (data) => [['Name', data.name], ['Version', data.version]], ['artifact_id', 'name', 'type', 'version', 'size']),
  list_artifacts: {
    asked: () => [],
    got: (data) => {
      const list = Array.isArray(data.artifacts) ? data.artifacts : [];
      if (list.length === 0) return [h('p', { class: 'tool-title' }, 'There are none.')];
      return [h('p', { class: 'tool-title' }, plural(list.length, 'artifact')), facts(list.map((one) => [one.name, `${kindName(one.type)}, version ${one.version}`]))];
    },
  },
  read_file: plainTool((args) => [['File', args.path]], (data) => [['Lines', linesRead(data)], ['At', data.ref]], [...PLACE, 'first_line', 'last_line', 'lines', 'sha']),
  list_files: plainTool((args) => [['Folder', args.path || '/']], (data) => [['Entries', data.entries], ['At', data.ref]], [...PLACE, 'entries']),
  search_files: plainTool((args) => [['Words', args.query]], (data) => [['Lines found', data.results]], [...PLACE, 'results']),
  git_log: plainTool((args) => [['Path', args.path]], (data) => [['Commits', data.commits]], [...PLACE, 'commits']),
  git_diff: plainTool((args) => [['Commit', args.commit]], () => [], [...PLACE, 'commit']),
  write_file: {
    asked: (args) => [
      facts([['File', args.path], ['Why', args.message]]),
      Array.isArray(args.edits) ? editsView(args.edits) : null,
      typeof args.content === 'string' ? textBox('Content', args.content) : null,
    ],
    got: (data) => [
      data.commit ? facts([['Commit', String(data.commit).slice(0, 12)]]) : null,
      data.proposal_id ? h('p', { class: 'tool-note' }, icon('branch'), 'Nothing is changed yet: it waits for you as a proposal.') : null,
    ],
  },
};
