// The door. It asks for the owner's token and says how to find it.

import { api } from '../api.js';
import { h, mark, setText } from '../dom.js';

const TOO_MANY = 429;

// The right one is let in even then, so that there is nothing to wait for.
const TOO_MANY_WORDS = 'That was not it either, and there were too many wrong tries. There is no need to wait: the right token gets in at once';

export function createLogin(store, entered) {
  const { state } = store;
  const field = h('input', {
    id: 'token', name: 'token', type: 'password', autocomplete: 'current-password', spellcheck: 'false',
    autocapitalize: 'off', required: true, testid: 'login-token', 'aria-describedby': 'login-problem login-help',
  });
  const button = h('button', { type: 'submit', class: 'primary', testid: 'login-submit' }, 'Come in');
  const problem = h('p', { id: 'login-problem', class: 'login-problem', role: 'alert', testid: 'login-error' });

  function show(error) {
    if (!error) {
      setText(problem, '');
      return;
    }
    const words = error.status === TOO_MANY ? TOO_MANY_WORDS : (error.detail || error.title).replaceAll('`', '');
    setText(problem, `${words}.`.replace(/\.\.$/, '.'));
  }

  async function submit(event) {
    event.preventDefault();
    const token = field.value.trim();
    if (!token) return;
    button.disabled = true;
    show(null);
    try {
      await api.login({ token });
      field.value = '';
      await entered();
    } catch (error) {
      show(error);
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  show(state.loginProblem);
  queueMicrotask(() => field.focus());
  return h('main', { class: 'login' },
    h('form', { class: 'login-card', onsubmit: submit, 'aria-labelledby': 'login-title' },
      mark('huge'),
      h('h1', { id: 'login-title' }, 'Mira'),
      h('p', { class: 'login-lead' }, 'This door opens for her owner only.'),
      h('label', { for: 'token' }, 'Token'),
      h('div', { class: 'login-row' }, field, button),
      problem,
      h('p', { id: 'login-help', class: 'login-help' },
        'On the machine she runs on, ', h('code', {}, 'mira-backend token'), ' prints it, and ',
        h('code', {}, 'mira-backend login-link'), ' gives you a link that needs no typing. Started from her source, in its folder: ',
        h('code', {}, 'cargo run --release -- token'), ' and ', h('code', {}, 'cargo run --release -- login-link'), '.')));
}
