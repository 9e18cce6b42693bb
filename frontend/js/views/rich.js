// Finishing touches on the server's html: code boxes with a copy button, tables that scroll by
// themselves, links that leave this page alone.

import { copyButton, h, setServerHtml } from '../dom.js';

export function decorate(root) {
  for (const pre of root.querySelectorAll('pre')) boxCode(pre);
  for (const table of root.querySelectorAll('table')) boxTable(table);
  for (const link of root.querySelectorAll('a[href]')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
}

// Brings `el` to the given server html and keeps every node that stays the same, so that a long
// block which only grows at its end costs what is new, not what it is.
export function growServerHtml(el, html, finish = () => {}) {
  const template = document.createElement('template');
  setServerHtml(template, html);
  decorate(template.content);
  finish(template.content);
  adopt(el, template.content);
}

function adopt(old, fresh) {
  let child = old.firstChild;
  while (child && fresh.firstChild && child.isEqualNode(fresh.firstChild)) {
    fresh.firstChild.remove();
    child = child.nextSibling;
  }
  if (child && fresh.firstChild && child.nodeType === Node.ELEMENT_NODE && child.cloneNode(false).isEqualNode(fresh.firstChild.cloneNode(false))) {
    adopt(child, fresh.firstChild);
    fresh.firstChild.remove();
    child = child.nextSibling;
  }
  while (child) {
    const next = child.nextSibling;
    child.remove();
    child = next;
  }
  old.append(...fresh.childNodes);
}

function boxCode(pre) {
  if (pre.parentElement?.classList.contains('code-box')) return;
  const code = pre.querySelector('code');
  const language = [...(code?.classList || [])].find((name) => name.startsWith('language-'))?.slice('language-'.length) || '';
  const box = h('div', { class: 'code-box' });
  pre.replaceWith(box);
  pre.tabIndex = 0;
  pre.setAttribute('role', 'region');
  pre.setAttribute('aria-label', language ? `Code, ${language}` : 'Code');
  box.append(h('div', { class: 'code-top' }, h('span', {}, language), copyButton(() => box.querySelector('pre').textContent, 'Copy code')), pre);
}

function boxTable(table) {
  if (table.parentElement?.classList.contains('table-box')) return;
  const box = h('div', { class: 'table-box', tabindex: '0', role: 'region', 'aria-label': 'Table' });
  table.replaceWith(box);
  box.append(table);
}
