// What came of the tools that look outside, run code, read documents and make pictures. What they
// answer was made by others: anything may be missing or odd, and all of it is shown as text.

import { copyButton, h, icon } from '../dom.js';
import { sketchAddress } from '../file-api.js';
import { plural } from '../memory-state.js';
import { ofServer } from '../tool-words.js';
import { createFiles } from './file-chip.js';
import { pythonNodes } from './python.js';
import { webAddress, webLink } from './citations.js';

const LONG_CHARS = 20_000;
const FOLDED_LINES = 12;

const listOf = (value) => (Array.isArray(value) ? value.filter((one) => one !== null && typeof one === 'object') : []);
const textOf = (value) => (typeof value === 'string' ? value : '');
const wordsOf = (value) => (Array.isArray(value) ? value.map(textOf).filter((words) => words.trim()).join(' · ') : '');
const shorter = (text) => (text.length > LONG_CHARS ? `${text.slice(0, LONG_CHARS)}\n… (${(text.length - LONG_CHARS).toLocaleString()} more characters)` : text);
const title = (words) => h('p', { class: 'tool-title' }, words);

function codeBox(code) {
  const pre = h('pre', { tabindex: '0', role: 'region', 'aria-label': 'Code, python' }, h('code', {}, pythonNodes(shorter(code))));
  return h('div', { class: 'code-box prose', testid: 'tool-code' }, h('div', { class: 'code-top' }, h('span', {}, 'python'), copyButton(() => code, 'Copy code')), pre);
}

// Short output is open, long output a click away.
function output(name, text) {
  if (!textOf(text).trim()) return null;
  const lines = text.trimEnd().split('\n').length;
  return h('details', { class: 'tool-output', open: lines <= FOLDED_LINES, testid: `tool-${name}` },
    h('summary', {}, name === 'stderr' ? 'Complaints' : 'Output', h('span', {}, plural(lines, 'line')), copyButton(() => text, 'Copy the output')),
    h('pre', { tabindex: '0', 'aria-label': name === 'stderr' ? 'Complaints' : 'Output' }, shorter(text)));
}

function result({ head, place, snippet, note }) {
  return h('li', { class: 'tool-result', testid: 'tool-result' }, h('p', { class: 'tool-result-head' }, head),
    place ? h('p', { class: 'tool-result-place' }, place) : null,
    textOf(snippet) ? h('p', { class: 'tool-result-text' }, snippet) : null,
    note ? h('p', { class: 'tool-result-place' }, note) : null);
}

function results(rows, none) {
  return rows.length === 0 ? title(none) : h('ol', { class: 'tool-results' }, rows);
}

function webResult({ title: name, url, snippet, date }) {
  const way = webAddress(url);
  const words = textOf(name) || way?.hostname || 'A page';
  return result({ head: way ? webLink(way, words) : words, place: [way?.hostname.replace(/^www\./, '') || textOf(url), textOf(date)].filter(Boolean).join(' · '), snippet });
}

function fileResult(hit, { openFile }) {
  const name = textOf(hit.name) || 'A file';
  const lines = Array.isArray(hit.lines) && hit.lines.length === 2 ? `lines ${hit.lines[0]} to ${hit.lines[1]}` : null;
  const head = hit.file_id ? h('button', { type: 'button', class: 'text-button', testid: 'tool-open-page', onclick: () => openFile({ id: hit.file_id, name }, hit.page || null, textOf(hit.snippet) || null) }, name) : name;
  return result({ head, place: [hit.page ? `page ${hit.page}` : null, lines, textOf(hit.heading)].filter(Boolean).join(' · '), snippet: hit.snippet });
}

const made = (data, context, label) => createFiles(listOf(data.files), context, { label });

// { asked(args, context), got(data, context) } of a tool; undefined where nothing better than its JSON is known.
// parts: facts(pairs) and textBox(title, text) of the cards.
export function bodyOf(tool, parts) {
  return ofServer(tool) ? serverBody(parts) : bodies(parts)[tool];
}

function bodies({ facts, textBox }) {
  return {
    web_search: {
      asked: (args) => [facts([['She looked for', textOf(args.query)]])],
      got: (data) => [results(listOf(data.results).map(webResult), 'Nothing was found.'), data.engine ? h('p', { class: 'tool-note' }, `Found with ${textOf(data.engine)}.`) : null],
    },
    fetch_url: {
      asked: (args) => [facts([['Address', textOf(args.url)]])],
      got(data) {
        const way = webAddress(data.url);
        return [
          way ? h('p', { class: 'tool-result-head' }, webLink(way, textOf(data.title) || way.hostname)) : null,
          facts([['Type', textOf(data.media_type)], ['Characters', typeof data.chars === 'number' ? data.chars.toLocaleString() : null]]),
          textOf(data.excerpt) ? textBox('How it begins', data.excerpt) : null,
        ];
      },
    },
    code_interpreter: {
      // Code that failed has still said something.
      whenFailed: true,
      asked: (args) => [textOf(args.code) ? codeBox(args.code) : null],
      got: (data, context) => [
        howItEnded(data),
        output('stdout', data.stdout), output('stderr', data.stderr), made(data, context, 'What the code made'),
      ],
    },
    file_search: {
      asked: (args) => [facts([['She looked for', textOf(args.query)], ['And for', wordsOf(args.others)]])],
      got: (data, context) => [results(listOf(data.results).map((hit) => fileResult(hit, context)), 'Nothing in your files speaks of it.')],
    },
    read_document: {
      asked: () => [],
      got: (data, { openFile }) => [
        facts([['Document', textOf(data.name)], ['Page', data.page ? `${data.page}${data.pages ? ` of ${data.pages}` : ''}` : null]]),
        data.file_id ? h('div', {}, h('button', { type: 'button', class: 'quiet small', testid: 'tool-open-page', onclick: () => openFile({ id: data.file_id, name: textOf(data.name) }, data.page || null) }, icon('file'), 'Open it')) : null,
      ],
    },
    image_generation: {
      asked: (args) => [facts([['What she asked for', textOf(args.prompt)]])],
      got: (data, context) => [made(data, context, 'Pictures')],
    },
  };
}

// What stopped code that did not end by itself, by the word of the box.
const STOPPED = new Map([
  ['signal', 'It was ended by a signal.'],
  ['time', 'It was stopped: it took too long.'],
  ['cpu_time', 'It was stopped: it computed for too long.'],
  ['memory', 'It was stopped: it took too much memory.'],
  ['files', 'It was stopped: it made too many files.'],
  ['output', 'It was stopped: it printed too much.'],
]);

function howItEnded(data) {
  const why = data.exit === 'failed' && typeof data.exit_code === 'number' ? `It ended with ${data.exit_code}.` : STOPPED.get(data.exit);
  const left = data.files_left_out > 0 ? `${data.files_left_out} more of its files ${data.files_left_out === 1 ? 'was' : 'were'} not kept.` : '';
  const said = [why, left].filter(Boolean).join(' ');
  return said ? h('p', { class: 'tool-reason', testid: 'tool-ended' }, said) : null;
}

function serverBody({ facts, textBox, jsonBox }) {
  return {
    asked: (args) => [jsonBox('Asked with', args)],
    got: (data, context) => [
      facts([['Server', textOf(data.server)], ['Tool', textOf(data.tool)]]),
      textOf(data.text) ? textBox('What came of it', data.text) : null,
      !textOf(data.text) && data.content !== undefined ? jsonBox('What came of it', data.content) : null,
      made(data, context, 'What came with it'),
    ],
  };
}

// What stands on the card although it is folded: pictures and files are what the owner waited for.
export function shownAtOnce(call, context) {
  if (!call.status && call.sketch) return [h('span', { class: 'thumb' }, h('img', { src: sketchAddress(call), alt: 'The picture, as far as it is drawn', testid: 'tool-sketch' }))];
  if (call.status !== 'ok' || call.data === null || typeof call.data !== 'object') return [];
  return ['code_interpreter', 'image_generation'].includes(call.tool) || ofServer(call.tool) ? [createFiles(listOf(call.data.files), context)] : [];
}
