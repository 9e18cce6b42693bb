// A row of tabs over panels of which one is shown: arrow keys move, as in any tab list.

import { h, setText } from '../dom.js';

let nextId = 0;

// tabs: [{ name, label, panel, testid? }]. chosen(name) is called when another one is shown.
export function createTabs({ label, tabs, chosen = () => {} }) {
  nextId += 1;
  const id = (name, part) => `tabs-${nextId}-${name}-${part}`;
  let current = null;
  const buttons = new Map(tabs.map((tab) => [tab.name, h('button', {
    type: 'button', role: 'tab', class: 'tab', id: id(tab.name, 'tab'), 'aria-controls': id(tab.name, 'panel'), testid: tab.testid || null, onclick: () => show(tab.name),
  }, tab.label)]));
  for (const tab of tabs) {
    tab.panel.setAttribute('role', 'tabpanel');
    tab.panel.id = id(tab.name, 'panel');
    tab.panel.setAttribute('aria-labelledby', id(tab.name, 'tab'));
    tab.panel.hidden = true;
  }
  const list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label, onkeydown: onKey }, [...buttons.values()]);

  function show(name) {
    const changed = current !== name;
    current = name;
    for (const tab of tabs) {
      const on = tab.name === name;
      const button = buttons.get(tab.name);
      button.setAttribute('aria-selected', String(on));
      button.tabIndex = on ? 0 : -1;
      tab.panel.hidden = !on;
    }
    if (changed) chosen(name);
  }

  function onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = [...buttons.entries()].filter(([, button]) => !button.hidden);
    const at = shown.findIndex(([name]) => name === current);
    const [name, button] = shown[(at + step + shown.length) % shown.length];
    show(name);
    button.focus();
  }

  return {
    el: list,
    show,
    relabel: (name, words) => setText(buttons.get(name), words),
    offer(name, there) {
      buttons.get(name).hidden = !there;
    },
    get current() {
      return current;
    },
  };
}
