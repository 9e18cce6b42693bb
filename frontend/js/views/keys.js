// The keys of the page, to be looked up. What they do is written where they are heard (shell.js, composer.js).

import { h, iconButton } from '../dom.js';

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
export const [CTRL, ALT] = MAC ? ['⌘', '⌥'] : ['Ctrl', 'Alt'];

const GROUPS = [
  ['Writing', [
    [['Enter'], 'Send'],
    [['Shift', 'Enter'], 'A new line'],
    [[CTRL, 'Enter'], 'Send, on a touch screen too'],
    [['↑'], 'In the empty field: change your last message'],
    [['Esc'], 'Stop her, or close what is open'],
    [['Page ↑'], 'Read further up'],
  ]],
  ['Going places', [
    [[CTRL, 'K'], 'Search everything that was said'],
    [[ALT, 'N'], 'A new conversation'],
    [[ALT, 'M'], 'What she remembers'],
    [[ALT, 'P'], 'Projects'],
    [[ALT, 'A'], 'Artifacts of the project'],
    [[ALT, 'G'], 'Repositories of the project'],
    [[ALT, 'L'], 'Files'],
    [[CTRL, '/'], 'This list'],
  ]],
];

export function openKeys() {
  const before = document.activeElement;
  const dialog = h('dialog', { class: 'keys', 'aria-labelledby': 'keys-title', testid: 'keys' },
    h('div', { class: 'panel-top' }, h('h2', { id: 'keys-title' }, 'Keys'), iconButton('close', 'Close', { testid: 'keys-close', onclick: () => dialog.close() })),
    GROUPS.map(([name, rows]) => h('section', { 'aria-label': name }, h('h3', {}, name), h('dl', {}, rows.map(([keys, words]) => h('div', {}, h('dt', {}, keys.map((key) => h('kbd', {}, key))), h('dd', {}, words)))))));
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}
