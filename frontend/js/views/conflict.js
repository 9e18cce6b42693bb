// Two versions of one text, when somebody else stored one meanwhile. Nothing is overwritten unless the
// owner says so.

import { copyButton, h } from '../dom.js';
import { confirmed } from './confirm.js';
import { linesView } from './lines.js';

// who: a sentence that says who won. theirs, mine: texts. keepMine(), takeTheirs(): what the owner may do.
export function conflictView({ who, theirs, mine, keepLabel, keepMine, takeTheirs }) {
  const note = h('p', { class: 'form-problem', role: 'alert', testid: 'conflict-problem' });
  const keep = h('button', { type: 'button', class: 'primary small', testid: 'conflict-keep', onclick: () => keepMine(keep, note) }, keepLabel);
  const take = h('button', { type: 'button', class: 'quiet small', testid: 'conflict-take', onclick: askToTake }, 'Take theirs');

  async function askToTake() {
    if (await confirmed({ title: 'Drop yours?', text: 'What you wrote and did not store goes.', action: 'Drop mine' })) await takeTheirs();
  }

  return h('section', { class: 'conflict', role: 'alert', testid: 'conflict' },
    h('h3', {}, 'It changed meanwhile'),
    h('p', {}, who),
    h('p', { class: 'work-hint' }, 'What you wrote is safe: nothing was stored over anything. Compare the two, then choose.'),
    h('div', { class: 'conflict-sides' },
      h('section', { testid: 'conflict-theirs' }, h('h4', {}, 'Theirs, as it is now'), linesView(theirs, { label: 'Theirs' }).el),
      h('section', { testid: 'conflict-mine' }, h('h4', {}, 'Yours, not stored', copyButton(() => mine, 'Copy yours')), linesView(mine, { label: 'Yours' }).el)),
    note,
    h('div', { class: 'editor-row' }, take, keep));
}
