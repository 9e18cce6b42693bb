// Short notices at the edge of the page, the region that screen readers listen to, and the page's own name.

import { h } from '../dom.js';

const STAYS_MS = 3_500;
const STAYS_WITH_ACTION_MS = 9_000;
const MS_PER_LETTER = 60; // a long one takes longer to read
const ANNOUNCED_CHARS = 1_500;

// action: { label, run }
export function say(text, action = null) {
  const host = document.getElementById('toasts');
  const toast = h('div', { class: 'toast', testid: 'notice' }, h('span', {}, text));
  if (action) {
    toast.append(h('button', {
      type: 'button',
      class: 'text-button',
      onclick() {
        toast.remove();
        action.run();
      },
    }, action.label));
  }
  host.replaceChildren(toast);
  setTimeout(() => toast.remove(), Math.max(action ? STAYS_WITH_ACTION_MS : STAYS_MS, text.length * MS_PER_LETTER));
}

let called = 'Mira';
let news = false;

function drawTitle() {
  document.title = `${news ? '● ' : ''}${called}`;
}

// The page is called as what it shows.
export function callPage(name) {
  called = name ? `${name} · Mira` : 'Mira';
  drawTitle();
}

document.addEventListener('visibilitychange', () => {
  news = news && document.hidden;
  drawTitle();
});

// Takes back what was read out: it may hold words that are forgotten now.
export function hush() {
  document.getElementById('announcer').replaceChildren();
}

export function announce(text) {
  const host = document.getElementById('announcer');
  host.replaceChildren(h('p', {}, `Mira: ${text.slice(0, ANNOUNCED_CHARS)}`));
  news = document.hidden;
  drawTitle();
}
