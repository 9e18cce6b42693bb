// What Mira would change in a repository: each proposal as a diff, to be applied as a commit or discarded.

import { clock, h, setText, shortDay } from '../dom.js';
import { upsert } from '../paging.js';
import { told } from '../work-state.js';
import { gitApi } from '../work-api.js';
import { attempt, noteLine } from './form.js';
import { fileDiff } from './diff.js';
import { createList } from './pages.js';

const STATES = { open: 'waits for you', applied: 'applied', discarded: 'discarded', stale: 'the file changed meanwhile' };
const KINDS = { write: 'Change', create: 'New file', delete: 'Delete', rename: 'Rename' };

export function createProposals(store, at) {
  const { state } = store;
  const mine = () => state.proposals.list.filter((p) => at.repo && p.attachment_id === at.id);
  const list = createList({
    testid: 'proposal-list',
    label: 'Proposals',
    page: () => state.proposals,
    row: () => proposalRow(),
    nothing: () => 'No proposals. Ask her to change a file: what she would write shows up here first, and nothing happens until you apply it.',
    more: () => {},
  });
  const el = h('div', { class: 'work-tab' }, list.el);

  function proposalRow() {
    const name = h('span', { class: 'work-name' });
    const meta = h('span', { class: 'work-meta' });
    const badge = h('span', { class: 'tag', testid: 'proposal-state' });
    const said = h('button', { type: 'button', class: 'text-button', onclick: () => at.show({ messageId: shown.message_id, sessionId: null }) }, 'where she proposed it');
    const diff = h('div', { class: 'work-slot' });
    const note = noteLine('proposal-problem');
    const newsWords = h('span', { role: 'status' });
    const push = h('button', { type: 'button', class: 'text-button', testid: 'proposal-push', onclick: () => at.push(push) }, 'Push…');
    const news = h('p', { class: 'work-news', testid: 'proposal-news' }, newsWords, ' ', push);
    const apply = h('button', { type: 'button', class: 'primary small', testid: 'proposal-apply', onclick: () => attempt(apply, note, () => decide('apply')) }, 'Apply');
    const discard = h('button', { type: 'button', class: 'quiet small', testid: 'proposal-discard', onclick: () => attempt(discard, note, () => decide('discard')) }, 'Discard');
    const buttons = h('div', { class: 'editor-row' }, discard, apply);
    const row = h('li', { class: 'work-item', testid: 'proposal' }, h('div', { class: 'work-row' }, h('span', { class: 'work-two' }, name, meta), h('span', { class: 'spacer' }), badge), said, diff, note, news, buttons);
    let shown = null;
    let drawn = false;

    async function decide(action) {
      const { id } = shown;
      try {
        upsert(state.proposals, told(await gitApi[action](at.projectId, id)));
        if (action === 'apply') at.changed();
      } catch (problem) {
        // The file may have changed, or somebody else decided: how it stands now is read.
        if (problem.status === 409) upsert(state.proposals, told(await gitApi.proposal(at.projectId, id)));
        throw problem;
      } finally {
        store.touch('proposals');
      }
    }

    // What it changes is read when it is looked at.
    async function drawDiff() {
      if (drawn) return;
      drawn = true;
      const { id, kind, path, new_path: next } = shown;
      if (kind === 'rename') {
        diff.replaceChildren(h('p', { class: 'path' }, `${path} → ${next}`));
        return;
      }
      drawn = await attempt(null, note, async () => {
        const whole = shown.diff ? shown : await gitApi.proposal(at.projectId, id);
        diff.replaceChildren(whole.diff ? fileDiff(whole.diff) : h('p', { class: 'work-empty' }, 'It is not text that can be shown line by line.'));
      });
    }

    return {
      el: row,
      update(proposal) {
        shown = proposal;
        row.dataset.proposalId = proposal.id;
        row.dataset.state = proposal.state;
        setText(name, proposal.message || `${KINDS[proposal.kind] || 'Change'} ${proposal.path}`);
        setText(meta, [`${KINDS[proposal.kind] || 'Change'}: ${proposal.path}${proposal.new_path && proposal.new_path !== proposal.path ? ` → ${proposal.new_path}` : ''}`, `${shortDay(proposal.created_at)} ${clock(proposal.created_at)}`].join(' · '));
        setText(badge, STATES[proposal.state] || proposal.state);
        said.hidden = !proposal.message_id;
        const waits = proposal.state === 'open' || proposal.state === 'stale';
        buttons.hidden = !waits;
        setText(apply, proposal.state === 'stale' ? 'Try again' : 'Apply');
        news.hidden = !proposal.commit;
        setText(newsWords, proposal.commit ? [`It is commit ${String(proposal.commit).slice(0, 8)}.`, at.ahead].filter(Boolean).join(' ') : '');
        push.hidden = !at.ahead;
        if (state.panel === 'repos' && !el.hidden) drawDiff();
      },
    };
  }

  function draw() {
    if (at.repo) list.draw(mine());
  }

  store.on(['proposals'], draw);
  return { el, draw, opened: draw, stale() {}, reset() {} };
}
