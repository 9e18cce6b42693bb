// One entry of the conversation. Each view is { el, update(item) }; update is called when anything
// about its item may have changed, live() once per frame while a reply is written.

import { clock, copyButton, dayName, h, iconButton, mark, setServerHtml, setText, setTint, timeTag } from '../dom.js';
import { approvalOf, filesOf, latest } from '../file-state.js';
import { createAttachments, takeDrop } from './attach.js';
import { personaOf } from './header.js';
import { citer, createSources } from './citations.js';
import { createFiles } from './file-chip.js';
import { setFormulas } from './formulas.js';
import { decorate } from './rich.js';
import { createRecalled } from './recalled.js';
import { createReply } from './reply.js';
import { createTools } from './tools.js';
import { say } from './notices.js';
import { toolWords } from '../tool-words.js';
import { enterHint, sends } from '../viewport.js';

const STAGES = {
  queued: 'queued', recalling: 'remembering…', thinking: 'thinking…', tool: 'working…', summarizing: 'gathering her thoughts…',
};
const ENDS = { stopped: 'You stopped her here.', interrupted: 'Interrupted here. The rest never came.', failed: 'This reply failed.' };
const GO_ON = 'Please go on where you stopped.';

export function createView(item, context) {
  switch (item.kind) {
    case 'day': return dayView(item);
    case 'own': return ownView(context);
    case 'pending': return pendingView(context);
    case 'problem': return problemView(item, context);
    case 'unanswered': return unansweredView(item, context);
    default: return miraView(context);
  }
}

// Live and stored replies share a view, so that the words stay where they are when a reply is done.
export const viewKind = (item) => (item.kind === 'live' ? 'mira' : item.kind);

function dayView(item) {
  return { el: h('div', { class: 'day', role: 'separator' }, h('span', {}, dayName(item.time))), update() {} };
}

function branchSwitch(message, chat) {
  const siblings = message.sibling_ids || [];
  const at = siblings.indexOf(message.id);
  if (siblings.length < 2 || at < 0) return null;
  const to = (step) => chat.select(siblings[at + step], { target: siblings[at + step] });
  return h('span', { class: 'branches', role: 'group', 'aria-label': 'Versions' },
    iconButton('prev', 'Earlier version', { testid: 'branch-prev', disabled: at === 0, onclick: () => to(-1) }),
    h('span', { testid: 'branch-position' }, `${at + 1}/${siblings.length}`),
    iconButton('next', 'Later version', { testid: 'branch-next', disabled: at === siblings.length - 1, onclick: () => to(1) }));
}

function forgetButton(message, forget) {
  return message.status === 'forgotten' ? null : iconButton('trash', 'Forget this message', { testid: 'forget', onclick: () => forget(message) });
}

function fillBody(body, message) {
  if (message.status === 'forgotten') {
    body.classList.add('forgotten');
    setText(body, 'forgotten');
  } else if (message.html) {
    body.classList.remove('plain');
    setServerHtml(body, message.html);
    decorate(body);
    setFormulas(body, message.content || '');
  } else {
    body.classList.add('plain');
    setText(body, message.content || '');
  }
}

// The files of a message, drawn anew only when they are others.
function createFileSlot(context, label) {
  const el = h('div', { class: 'file-slot' });
  let shown = '';
  return {
    el,
    update(files) {
      const list = Array.isArray(files) ? files : [];
      const ids = list.map((file) => file?.id).join(' ');
      if (ids === shown) return;
      shown = ids;
      el.replaceChildren(...[createFiles(list, context, { label })].filter(Boolean));
    },
  };
}

function ownView({ chat, store, forget, uploads, tools: toolContext }) {
  const body = h('div', { class: 'prose own-prose' });
  const actions = h('div', { class: 'actions' });
  const mark_ = h('p', { class: 'own-note' });
  const bubble = h('div', { class: 'bubble' }, body);
  const files = createFileSlot(toolContext, 'Sent with it');
  const el = h('article', { class: 'entry own', testid: 'message-user' }, files.el, bubble, mark_, actions);
  let shown = null;
  let editor = null;

  function startEdit() {
    if (editor || !shown || shown.status === 'forgotten') return;
    const attached = uploads.ofEdit(shown.id);
    const before = (shown.files || []).filter((file) => latest(store.state, file));
    attached.putBack(before);
    editor = editorOf(shown.content, { store, uploads: attached, openPicture: toolContext.openPicture }, {
      save(content) {
        const files = attached.arrived().map(({ id }) => id);
        const same = files.length === before.length && before.every(({ id }, index) => id === files[index]);
        return chat.edit(shown.id, content, same ? null : files);
      },
      cancel() {
        end();
        bubble.replaceChildren(body);
        el.classList.remove('editing');
        document.getElementById('composer')?.focus();
      },
    });
    const mine = editor;
    // A refused edit gives the text back; one that was taken, or left behind, leaves with the view.
    const offs = [store.on(['refused'], () => mine.release()), store.on(['thread'], () => mine.el.isConnected || end())];
    function end() {
      for (const off of offs) off();
      mine.leave();
      attached.clear();
      editor = null;
    }
    el.classList.add('editing');
    bubble.replaceChildren(editor.el);
    editor.focus();
  }

  return {
    el,
    startEdit,
    update(item) {
      const { message } = item;
      setText(mark_, item.queued ? 'queued' : '');
      el.classList.toggle('first', item.first);
      if (message === shown) return;
      const before = shown;
      shown = message;
      el.dataset.messageId = message.id;
      el.setAttribute('aria-label', `You, ${clock(message.created_at)}`);
      if (before?.html !== message.html || before?.content !== message.content || before?.status !== message.status) fillBody(body, message);
      files.update(message.status === 'forgotten' ? [] : message.files);
      actions.replaceChildren(...[
        timeTag(message.created_at),
        branchSwitch(message, chat),
        message.status === 'forgotten' ? null : iconButton('edit', 'Edit and send again', { testid: 'edit', onclick: startEdit }),
        message.status === 'forgotten' ? null : copyButton(() => shown.content, 'Copy message'),
        forgetButton(message, forget),
      ].filter(Boolean));
    },
  };
}

// The editor stays, waiting, until the new branch takes the message's place. Files are taken out and added as in the
// message field; those under way are waited for.
function editorOf(content, { store, uploads, openPicture }, { save, cancel }) {
  const attachments = createAttachments(store, uploads, { openPicture, field: () => field });
  const field = h('textarea', { 'aria-label': 'Edit your message', value: content, testid: 'edit-field', rows: '2', enterkeyhint: enterHint(), onpaste: attachments.onPaste });
  const submit = h('button', { type: 'submit', class: 'primary small', testid: 'edit-save' }, 'Send again');
  const note = h('p', { class: 'editor-note', role: 'status', testid: 'edit-note' });
  let held = false;
  const release = () => {
    submit.disabled = false;
    field.readOnly = false;
  };
  const hold = (on) => {
    held = on;
    setText(note, on ? 'Goes when the files have arrived…' : '');
  };
  const finish = (event) => {
    event?.preventDefault();
    const next = field.value.trim();
    if (!next || submit.disabled) return;
    hold(uploads.busy());
    if (held) return;
    if (uploads.failed()) {
      setText(note, 'A file did not arrive. Try it again, or take it out.');
      return;
    }
    if (!save(next)) return;
    submit.disabled = true;
    field.readOnly = true;
  };
  const off = store.on(['attached'], () => held && !uploads.busy() && finish());
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      cancel();
    } else if (sends(event)) {
      finish(event);
    }
  });
  const el = h('form', { class: 'editor', onsubmit: finish, ondrop: (event) => takeDrop(event, uploads) }, attachments.list, field, note,
    h('div', { class: 'editor-row' }, attachments.button, attachments.picker, h('span', { class: 'spacer' }),
      h('button', { type: 'button', class: 'quiet small', testid: 'edit-cancel', onclick: cancel }, 'Cancel'), submit));
  return {
    el,
    release,
    leave() {
      held = false; // What was left goes nowhere, though this frame may still tell of `attached`.
      off();
      attachments.leave();
    },
    focus() {
      field.focus();
      field.setSelectionRange(field.value.length, field.value.length);
    },
  };
}

function pendingView({ chat, uploads, tools: toolContext }) {
  const body = h('div', { class: 'prose own-prose plain' });
  const note = h('p', { class: 'own-note' });
  const files = createFileSlot(toolContext, 'Goes with it');
  const el = h('article', { class: 'entry own pending', testid: 'message-pending', 'aria-label': 'You, not sent yet' }, files.el, h('div', { class: 'bubble' }, body), note);
  return {
    el,
    update({ entry }) {
      setText(body, entry.content);
      files.update(entry.files);
      el.classList.toggle('failed', entry.state === 'failed');
      if (entry.state !== 'failed') {
        note.replaceChildren(entry.state === 'waiting' ? 'waiting for the connection' : '');
        return;
      }
      note.replaceChildren(
        h('span', { role: 'alert', testid: 'error' }, `Not sent. ${entry.error?.detail || entry.error?.title || ''}`),
        entry.retryable ? h('button', { type: 'button', class: 'text-button', testid: 'retry', onclick: () => chat.resend(entry.client_id) }, 'Try again') : null,
        h('button', { type: 'button', class: 'text-button', testid: 'discard', onclick: () => discard(entry.client_id) }, 'Take it back'));
    },
  };

  function discard(clientId) {
    const { content, files: sent } = chat.discard(clientId);
    uploads.putBack(sent);
    const composer = document.getElementById('composer');
    if (!composer || composer.value) return;
    composer.value = content;
    composer.dispatchEvent(new Event('input'));
    composer.focus();
  }
}

function miraView({ chat, store, openReceipt, forget, tools: toolContext, recalls }) {
  const { state } = store;
  const sigil = mark('small');
  const who = h('span', { class: 'who' }, 'Mira');
  const mood = h('span', { class: 'mood' });
  const cause = h('span', { class: 'cause' });
  const head = h('div', { class: 'entry-head' }, who, mood, cause);
  const body = h('div', { class: 'prose her-prose' });
  const stage = h('p', { class: 'stage-line', testid: 'status' });
  const foot = h('p', { class: 'entry-note' });
  const recalled = createRecalled((focus) => openReceipt(el.dataset.messageId, focus));
  const tools = createTools(toolContext);
  const sources = createSources(toolContext);
  const files = createFileSlot(toolContext, 'Made for it');
  const cite = citer(body, toolContext);
  const actions = h('div', { class: 'actions' });
  const el = h('article', { class: 'entry mira', testid: 'message-mira' }, h('div', { class: 'gutter' }, sigil), h('div', { class: 'entry-main' }, head, tools.el, body, files.el, stage, foot, sources.el, recalled.el, actions));
  const reply = createReply(body, { finish: cite.mark });
  let shown = null;
  let drawn = null;
  recalls.watch(el);

  function drawHead({ persona, mood: word, moodCause, first, moodChanged }) {
    setTint(el, personaOf(state, persona)?.colour);
    el.classList.toggle('first', first);
    head.hidden = !first && !moodChanged;
    setText(mood, word || '');
    setText(cause, moodChanged && moodCause ? moodCause : '');
  }

  function drawStored(item) {
    const { message } = item;
    drawHead({ persona: message.persona, mood: message.mood, moodCause: message.mood_cause, first: item.first, moodChanged: item.moodChanged });
    recalled.update(message.status === 'forgotten' ? null : state.recalls.get(message.id));
    if (message === shown && item.last === drawn.last && item.broken === drawn.broken) return;
    if (message !== shown) {
      tools.update(message.tool_calls || [], { live: false });
      el.dataset.messageId = message.id;
      el.setAttribute('aria-label', `Mira, ${clock(message.created_at)}`);
      el.removeAttribute('aria-busy');
      const stands = message.status !== 'forgotten' && message.html && reply.holds(message.html);
      reply.clear();
      if (stands) setFormulas(body, message.content || '');
      else fillBody(body, message);
      const citations = message.status === 'forgotten' ? [] : message.citations;
      cite.know(citations);
      sources.update(citations);
      files.update(message.status === 'forgotten' ? [] : ownFilesOf(message));
      setText(stage, '');
      el.dataset.status = message.status || 'complete';
    }
    shown = message;
    drawn = item;
    foot.replaceChildren(...[ENDS[message.status], ...(item.broken ? [' ', continueButton()] : [])].filter(Boolean));
    const gone = message.status === 'forgotten';
    actions.replaceChildren(...[
      gone ? null : copyButton(() => shown.content, 'Copy message'),
      gone ? null : iconButton('again', item.last ? 'Answer again' : 'Answer again from here', { testid: 'regenerate', onclick: () => answerAgain(message.id) }),
      branchSwitch(message, chat),
      gone ? null : h('button', { type: 'button', class: 'why', testid: 'why', title: 'What she had in mind', 'aria-label': 'Why? What she had in mind', 'aria-haspopup': 'dialog', onclick: () => openReceipt(message.id) }, 'why?'),
      forgetButton(message, forget),
      timeTag(message.created_at),
      message.model ? h('span', { class: 'model', title: usageWords(message.usage) }, message.model) : null,
    ].filter(Boolean));
    actions.classList.toggle('stay', Boolean(item.last));
  }

  function continueButton() {
    return h('button', { type: 'button', class: 'text-button', testid: 'continue', onclick: goOn }, 'Continue');
  }

  // The button goes with what it asks for; the keyboard goes on where the next words are written.
  function goOn() {
    chat.send(GO_ON);
    if (matchMedia('(pointer: fine)').matches) document.getElementById('composer')?.focus();
  }

  function answerAgain(id) {
    if (chat.regenerate(id) && !drawn.last) say('The conversation goes on from here. What came after is kept: the arrows lead back to it.');
  }

  function drawLive({ turn, first, moodChanged }) {
    drawHead({ persona: turn.persona || state.session?.persona, mood: turn.mood || '', moodCause: turn.moodCause, first, moodChanged: moodChanged && Boolean(turn.mood) });
    el.dataset.status = 'live';
    el.setAttribute('aria-busy', 'true');
    el.setAttribute('aria-label', 'Mira is answering');
    if (turn.messageId) el.dataset.messageId = turn.messageId;
    recalled.update(turn.messageId ? turn.recall : null);
    tools.update(turn.calls, { live: true });
    cite.know(turn.citations);
    sources.update(turn.citations);
    files.update([]);
    shown = null;
    actions.replaceChildren();
    setText(foot, '');
    setText(stage, stageOf(state, turn));
    el.classList.toggle('wordless', !turn.content);
    reply.draw(turn);
  }

  return {
    el,
    update(item) {
      if (item.kind === 'live') drawLive(item);
      else {
        el.classList.remove('wordless');
        drawStored(item);
      }
    },
  };
}

// What the provider counted for a reply.
function usageWords(usage) {
  const { input_tokens: read, output_tokens: written } = usage || {};
  return Number.isInteger(read) && Number.isInteger(written) ? `${read.toLocaleString()} tokens read, ${written.toLocaleString()} written` : null;
}

// What she is busy with, in a few words. Calls at work say it themselves: the last that was told of is not all of it.
function stageOf(state, turn) {
  const open = turn.calls.filter((call) => !call.status);
  const working = open.filter((call) => !approvalOf(state, call.tool_call_id));
  if (working.length < open.length) return 'waiting for your word…';
  if (working.length > 0) return `${[...new Set(working.map((call) => toolWords(call.tool).doing))].join(', ')}…`;
  if (turn.content) return turn.stage && turn.stage !== 'thinking' ? STAGES[turn.stage] || `${turn.stage}…` : '';
  return STAGES[turn.stage] || 'thinking…';
}

// What a tool's card shows already is not shown again.
function ownFilesOf(message) {
  const onCards = new Set((message.tool_calls || []).flatMap(filesOf).map((file) => file?.id));
  return (message.files || []).filter((file) => !onCards.has(file?.id));
}

function problemView({ problem }, { chat }) {
  const { error, retry } = problem;
  const lines = (error.errors || []).map((e) => h('li', {}, `${e.field}: ${e.message}`));
  const el = h('article', { class: 'entry problem', role: 'alert', testid: 'error' },
    h('p', { class: 'problem-title' }, error.title || 'Something went wrong'),
    error.detail ? h('p', {}, error.detail) : null,
    lines.length > 0 ? h('ul', {}, lines) : null,
    retry ? h('button', { type: 'button', class: 'quiet small', testid: 'retry', onclick: () => chat.regenerate(retry.messageId) }, 'Try again') : null);
  return { el, update() {} };
}

function unansweredView({ messageId }, { chat }) {
  const el = h('p', { class: 'entry unanswered', testid: 'unanswered' }, 'No answer came to this. ',
    h('button', { type: 'button', class: 'text-button', onclick: () => chat.regenerate(messageId) }, 'Ask again'));
  return { el, update() {} };
}
