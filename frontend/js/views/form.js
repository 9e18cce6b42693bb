// Fields and forms of the work panels. A form says what went wrong where it happened, and keeps what was
// typed until it is stored.

import { h, setText } from '../dom.js';

let nextId = 0;

// The words of a problem, with the field they are about where the server names one.
export function inWords(problem) {
  const lines = problem.errors?.map((e) => (e.field ? `${e.field}: ${e.message}` : e.message)) || [];
  const told = problem.detail || '';
  const untold = (problem.paths || []).filter((path) => !told.includes(path));
  const paths = untold.length > 0 ? ` (${untold.slice(0, 12).join(', ')}${untold.length > 12 ? ' and more' : ''})` : '';
  const wait = problem.retryAfterSeconds ? ` Try again in ${problem.retryAfterSeconds} s.` : '';
  return `${lines.join('. ') || problem.detail || problem.title || String(problem)}${paths}${wait}`;
}

export function labelled(label, input, hint = null) {
  nextId += 1;
  input.id = `field-${nextId}`;
  if (hint) input.setAttribute('aria-describedby', `hint-${nextId}`);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint ? h('p', { class: 'field-hint', id: `hint-${nextId}` }, hint) : null);
}

export function checkbox(label, input, hint = null) {
  const box = h('label', { class: 'check' }, input, h('span', {}, label));
  if (!hint) return box;
  nextId += 1;
  input.setAttribute('aria-describedby', `hint-${nextId}`);
  return h('div', { class: 'field' }, box, h('p', { class: 'field-hint', id: `hint-${nextId}` }, hint));
}

export function choice(options, value, props = {}) {
  const select = h('select', props, options.map(([key, label]) => h('option', { value: key }, label)));
  select.value = value;
  return select;
}

// A text field knows one way to end a line: what it shows of a text, and what is typed there with the ends that text has.
export const fieldText = (text) => (text || '').replace(/\r\n?/g, '\n');
export const withEndsOf = (text, typed) => (text?.includes('\r\n') && fieldText(text).replaceAll('\n', '\r\n') === text ? typed.replaceAll('\n', '\r\n') : typed);

// save() may reject with a Problem, which is shown; the form is busy meanwhile. cancel: null leaves the button out.
export function createForm({ testid, fields, action, save, cancel = null, extra = [], label = null }) {
  const problem = h('p', { class: 'form-problem', role: 'alert', testid: testid ? `${testid}-problem` : null });
  const submit = h('button', { type: 'submit', class: 'primary small', testid: testid ? `${testid}-save` : null }, action);

  async function finish(event) {
    event?.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    setText(problem, '');
    try {
      await save();
    } catch (error) {
      setText(problem, inWords(error));
    } finally {
      submit.disabled = false;
    }
  }

  const el = h('form', { class: 'work-form', onsubmit: finish, testid, 'aria-label': label }, fields, problem,
    h('div', { class: 'editor-row' }, ...extra, cancel ? h('button', { type: 'button', class: 'quiet small', testid: testid ? `${testid}-cancel` : null, onclick: cancel }, 'Cancel') : null, submit));
  return {
    el,
    problem: (text) => setText(problem, text),
    focus: () => el.querySelector('input, textarea, select')?.focus(),
  };
}

// Runs an action of a button: it is busy meanwhile, and `note` says what went wrong. A busy button loses the keyboard,
// and gets it back.
export async function attempt(button, note, action) {
  const held = button && document.activeElement === button;
  if (button) button.disabled = true;
  setText(note, '');
  try {
    await action();
    return true;
  } catch (problem) {
    setText(note, inWords(problem));
    return false;
  } finally {
    if (button) button.disabled = false;
    if (held && document.activeElement === document.body) button.focus();
  }
}

export const noteLine = (testid = null) => h('p', { class: 'form-problem', role: 'alert', testid });
