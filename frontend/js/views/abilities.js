// What she can do here, what not, and why.

import { h, icon, iconButton, setText } from '../dom.js';
import { tools as readTools } from '../file-api.js';
import { EFFECTS, ofServer, toolWords } from '../tool-words.js';
import { inWords } from './form.js';

const GROUPS = [
  ['Her memory', ['recall', 'remember', 'forget']],
  ['Your files', ['file_search', 'read_document']],
  ['The web', ['web_search', 'fetch_url']],
  ['Code and pictures', ['code_interpreter', 'image_generation']],
  ['Artifacts', ['create_artifact', 'edit_artifact', 'read_artifact', 'list_artifacts']],
  ['Repositories', ['list_files', 'read_file', 'search_files', 'write_file', 'git_log', 'git_diff']],
];
const OTHER = 'More';

const groupOf = (name) => {
  const server = ofServer(name)?.server;
  return server ? `The server ${server}` : GROUPS.find(([, names]) => names.includes(name))?.[0] || OTHER;
};

// What a tool is for. Her own have words of this page: their descriptions are written for the model. What a server of
// the owner's says of its tools is all there is, and is marked as its words.
function purpose(name, description) {
  const { does } = toolWords(name);
  if (does) return h('span', { class: 'work-meta' }, does);
  const foreign = ofServer(name);
  return description && foreign?.tool ? h('span', { class: 'work-meta', testid: 'ability-quote' }, h('q', {}, description), ` says ${foreign.server}`) : null;
}

export function createAbilitiesPanel(store, { close }) {
  const { state } = store;
  const lead = h('p', { class: 'work-lead', testid: 'abilities-lead' });
  const note = h('p', { class: 'form-problem', role: 'alert' });
  const groups = h('div', { class: 'abilities' });
  const el = h('aside', { class: 'panel work-panel', role: 'dialog', 'aria-labelledby': 'abilities-title', testid: 'abilities-panel' },
    h('div', { class: 'panel-top' }, h('h2', { id: 'abilities-title' }, 'What she can do'), iconButton('close', 'Close', { testid: 'abilities-close', onclick: close })),
    lead, note, groups);

  function row({ name, description, effect, enabled, available, reason }) {
    const words = toolWords(name);
    const works = enabled !== false && available !== false;
    const kind = EFFECTS[effect];
    return h('li', { class: `ability${works ? '' : ' off'}`, testid: 'ability', 'data-tool': name, 'data-available': String(works) },
      h('span', { class: 'tool-sign' }, icon(works ? words.icon : 'off')),
      h('span', { class: 'ability-words' },
        h('span', { class: 'ability-top' }, h('span', { class: 'ability-name' }, words.name), kind ? h('span', { class: 'tool-effect', 'data-effect': effect, title: kind.title }, kind.label) : null),
        purpose(name, description),
        works ? null : h('span', { class: 'ability-reason', testid: 'ability-reason' }, `Not now: ${reason || 'it is switched off'}`)));
  }

  function draw(list) {
    const works = list.filter((tool) => tool.enabled !== false && tool.available !== false).length;
    setText(lead, list.length === 0 ? 'She has no tools here.' : works === list.length ? 'All of this works here.' : `${works} of ${list.length} work here. The others say what they lack.`);
    const names = [...new Set([...GROUPS.map(([name]) => name), ...list.map(({ name }) => groupOf(name)).toSorted()])].filter((name) => name !== OTHER);
    groups.replaceChildren(...[...names, OTHER].map((name) => {
      const of = list.filter((tool) => groupOf(tool.name) === name);
      return of.length === 0 ? null : h('section', {}, h('h3', {}, name), h('ul', { class: 'ability-list' }, of.map(row)));
    }).filter(Boolean));
  }

  async function opened() {
    if (state.panel !== 'abilities') return;
    try {
      const { tools } = await readTools();
      draw(Array.isArray(tools) ? tools : []);
      setText(note, '');
    } catch (problem) {
      setText(note, inWords(problem));
    }
  }

  store.on(['panel'], opened);
  // After a restart something else may work.
  store.on(['greeted'], opened);
  return el;
}
