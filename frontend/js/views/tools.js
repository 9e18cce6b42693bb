// What she did with tools on the way to a reply: one card for each call, its arguments and its result
// folded away. Works on a reply in the making and on a stored one.

import { h, icon, setText } from '../dom.js';
import { EFFECTS, STATUSES, endOf, subjectOf, toolWords } from '../tool-words.js';
import { createAskSlot } from './asks.js';
import { toolBody } from './tool-body.js';
import { shownAtOnce } from './tool-results.js';

const LONG_MS = 5_000; // from then on it is told how long a call takes

// context: { store, memories, approvals, openFile(file, page, passage?), openPicture(pictures, index), openArtifact(id), openProposals(repoId), openRepoFile(repoId, path, line), openCommit(repoId, sha) }
export function createTools(context) {
  const { store } = context;
  const cards = new Map();
  let listening = false;
  const el = h('div', { class: 'tool-cards', role: 'group', 'aria-label': 'What she used', testid: 'tool-cards', hidden: true });

  // live: the reply is still being made, so that a call without a result is at work.
  function update(calls, { live }) {
    el.hidden = calls.length === 0;
    const keep = new Set(calls.map((call) => call.tool_call_id));
    for (const [id, card] of cards) {
      if (keep.has(id)) continue;
      card.el.remove();
      cards.delete(id);
    }
    calls.forEach((call) => {
      let card = cards.get(call.tool_call_id);
      if (!card) {
        card = createToolCard(context);
        cards.set(call.tool_call_id, card);
        el.append(card.el);
      }
      card.update(call, live);
    });
    if (calls.length > 0) listen();
  }

  // The owner's word may be given anywhere.
  function listen() {
    if (listening) return;
    listening = true;
    const off = store.on(['approvals'], () => {
      if (el.isConnected) {
        for (const card of cards.values()) card.again();
        return;
      }
      off();
      listening = false;
    });
  }

  return { el, update };
}

function createToolCard(context) {
  const sign = h('span', { class: 'tool-sign' });
  const name = h('span', { class: 'tool-name', testid: 'tool-name' });
  const subject = h('span', { class: 'tool-subject' });
  const effect = h('span', { class: 'tool-effect', testid: 'tool-effect' });
  const status = h('span', { class: 'tool-status', testid: 'tool-status' });
  const body = h('div', { class: 'tool-body', testid: 'tool-body' });
  const fold = h('details', { ontoggle: drawBody },
    h('summary', { testid: 'tool-fold' }, sign, h('span', { class: 'tool-words' }, name, subject), effect, status), body);
  const actions = h('div', { class: 'tool-actions' });
  const ask = createAskSlot(context);
  const made = h('div', { class: 'tool-made' });
  const el = h('div', { class: 'tool-card', testid: 'tool-card' }, fold, ask.el, made, actions);
  let shown = null;
  let wasLive = false;
  let state = null;
  let drawn = null;
  let begun = 0; // when it was seen to go to work
  let timer = 0;

  function drawBody() {
    if (shown) drawMade(shown);
    if (!fold.open || drawn === shown) return;
    drawn = shown;
    body.replaceChildren(...toolBody(shown, context));
  }

  function action(testid, name, words, run) {
    return h('button', { type: 'button', class: 'quiet small', testid, onclick: run }, icon(name), words);
  }

  // Ways from what came of it to the thing itself.
  function drawActions({ tool, status, data }) {
    const { artifact_id: artifact, proposal_id: proposal, repository, path, commit, first_line: line } = (status === 'ok' && data) || {};
    actions.replaceChildren(...[
      artifact ? action('tool-open-artifact', 'artifact', `Open ${data.name || 'it'}`, () => context.openArtifact(artifact)) : null,
      proposal ? action('tool-open-proposal', 'branch', 'Look at the proposal', () => context.openProposals(repository)) : null,
      tool === 'read_file' && repository && path ? action('tool-open-file', 'file', 'Open the file', () => context.openRepoFile(repository, path, line || null)) : null,
      repository && commit && !proposal ? action('tool-open-commit', 'history', 'Look at the commit', () => context.openCommit(repository, commit)) : null,
    ].filter(Boolean));
  }

  function update(call, live) {
    wasLive = live;
    const waits = ask.update(live && !call.status ? call.tool_call_id : null);
    const now = endOf(call) || (waits ? 'waiting' : live && !call.status ? 'working' : 'unknown');
    if (call === shown && now === state) return;
    shown = call;
    state = now;
    const words = toolWords(call.tool);
    el.dataset.tool = call.tool || '';
    el.dataset.status = now;
    sign.replaceChildren(icon(words.icon));
    setText(name, words.name);
    setText(subject, subjectOf(call));
    const kind = EFFECTS[call.effect];
    effect.hidden = !kind;
    effect.dataset.effect = call.effect || '';
    effect.title = kind?.title || '';
    setText(effect, kind?.label || '');
    status.replaceChildren(now === 'working' ? h('span', { class: 'spinner', 'aria-hidden': 'true' }) : icon(STATUSES[now].icon), STATUSES[now].word);
    tellTime(now === 'working' && call.seen);
    drawActions(call);
    drawMade(call);
    drawBody();
  }

  // A call that takes long says for how long it has been at work: nothing else moves on the card.
  function tellTime(on) {
    clearInterval(timer);
    begun = on ? begun || Date.now() : 0;
    if (!on) return;
    const words = document.createTextNode('');
    const draw = () => {
      const ms = Date.now() - begun;
      if (ms >= LONG_MS) words.data = `, ${Math.round(ms / 1_000)} s`;
      if (!el.isConnected) clearInterval(timer);
    };
    status.append(words);
    draw();
    timer = setInterval(draw, 1_000);
  }

  function drawMade(call) {
    const views = shownAtOnce(call, context).filter(Boolean);
    made.replaceChildren(...(fold.open ? [] : views));
  }

  return { el, update, again: () => shown && update(shown, wasLive) };
}
