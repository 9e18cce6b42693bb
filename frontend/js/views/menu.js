// A small menu beside the button that opened it: arrow keys, Esc, and a click elsewhere close it.

import { h, icon } from '../dom.js';

// entries: [{ icon, label, run, danger?, checked?, testid? }]; with `checked` it is one choice of several.
export function openMenu(button, entries, closed) {
  let open = true;
  const el = h('div', { class: 'menu', role: 'menu' }, entries.map((entry) => h('button', {
    type: 'button', role: entry.checked === undefined ? 'menuitem' : 'menuitemradio', 'aria-checked': entry.checked === undefined ? null : String(entry.checked), tabindex: '-1', testid: entry.testid, class: entry.danger ? 'danger-text' : '',
    onclick() {
      close();
      entry.run();
    },
  }, icon(entry.checked ? 'check' : entry.icon), entry.label)));
  const choices = [...el.children];

  function close() {
    if (!open) return;
    open = false;
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', close);
    el.remove();
    closed();
    if (button.isConnected) button.focus();
  }

  function outside(event) {
    if (!el.contains(event.target)) close();
  }

  el.addEventListener('keydown', (event) => {
    const at = choices.indexOf(document.activeElement);
    if (event.key === 'Escape' || event.key === 'Tab') {
      event.preventDefault();
      close();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const step = event.key === 'ArrowDown' ? 1 : choices.length - 1;
      choices[(at + step) % choices.length].focus();
    }
  });

  document.body.append(el);
  const box = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.right - el.offsetWidth, innerWidth - el.offsetWidth - 8));
  const below = box.bottom + 4;
  const top = below + el.offsetHeight > innerHeight - 8 ? box.top - el.offsetHeight - 4 : below;
  el.style.setProperty('left', `${left}px`);
  el.style.setProperty('top', `${top}px`);
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', close);
  choices[0]?.focus();
}
