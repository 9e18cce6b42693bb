// A question that must be answered before something is lost.

import { h } from '../dom.js';

// Resolves to whether it was confirmed; Esc and "Keep it" do not. quote: the words it is about; losses: lines that say
// what is nowhere else. also: what else may be lost if the owner ticks it, and then the answer is 'also'.
export function confirmed({ title, text, action, quote = null, losses = [], also = null }) {
  return new Promise((resolve) => {
    const box = h('input', { type: 'checkbox', testid: 'confirm-also' });
    const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'confirm-title', 'aria-describedby': losses.length > 0 ? 'confirm-text confirm-losses' : 'confirm-text' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'confirm-title' }, title),
        quote ? h('blockquote', { class: 'confirm-quote' }, quote) : null,
        h('p', { id: 'confirm-text' }, text),
        losses.length > 0 ? lossList(losses) : null,
        also ? h('label', { class: 'confirm-also' }, box, also) : null,
        h('div', { class: 'confirm-row' },
          h('button', { value: 'no', class: 'quiet', testid: 'confirm-no', autofocus: true }, 'Keep it'),
          h('button', { value: 'yes', class: 'danger', testid: 'confirm-yes' }, action))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' && (box.checked ? 'also' : true));
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function lossList(losses) {
  return h('div', { class: 'confirm-losses', id: 'confirm-losses', testid: 'confirm-losses' },
    h('p', {}, 'This is nowhere else and would be lost:'),
    h('ul', {}, losses.map((line) => h('li', {}, line))));
}
