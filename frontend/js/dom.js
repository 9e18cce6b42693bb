// Building blocks of the views. Text always becomes text nodes; setServerHtml is the only place
// where markup is taken as it is, and only what the server has sanitised goes in there.

const SVG = 'http://www.w3.org/2000/svg';

// h('button', { class: 'x', onclick: f, 'aria-label': 'Y', hidden: true }, 'text', child)
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else if (name === 'testid') el.dataset.testid = value;
    else if (name === 'value') el.value = value;
    else el.setAttribute(name, value === true ? '' : value);
  }
  el.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return el;
}

const ICONS = {
  menu: 'M4 7h16M4 12h16M4 17h10',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4',
  close: 'M6 6l12 12M18 6L6 18',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  pin: 'M12 16v5M8 3h8l-1 7 3 3v2H6v-2l3-3z',
  send: 'M12 20V5M5.5 11.5 12 5l6.5 6.5',
  stop: 'M8 8h8v8H8z',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  again: 'M20 11a8 8 0 1 0-2.4 6.2M20 5v6h-6',
  edit: 'M4 20h4L19 9l-4-4L4 16z',
  prev: 'M14 6l-6 6 6 6',
  next: 'M10 6l6 6-6 6',
  down: 'M12 5v14M5.5 12.5 12 19l6.5-6.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4',
  moon: 'M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z',
  auto: 'M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17',
  leave: 'M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9',
  archive: 'M4 5h16v4H4zM5.5 9v10h13V9M10 13h4',
  memory: 'M12 20.5 4.6 13a4.6 4.6 0 0 1 0-6.6 4.8 4.8 0 0 1 6.7 0l.7.7.7-.7a4.8 4.8 0 0 1 6.7 0 4.6 4.6 0 0 1 0 6.6zM12 20.5v-6l-3-2.5',
  fact: 'M12 3.5a6 6 0 0 0-3.5 10.9V17h7v-2.6A6 6 0 0 0 12 3.5zM9.5 20.5h5',
  message: 'M4 5h16v11H11l-4 4v-4H4z',
  summary: 'M5 6h14M5 10.5h14M5 15h9M5 19.5h5',
  unsure: 'M12 4 2.8 20h18.4zM12 10v5M12 17.6h.01',
  off: 'M4 4l16 16M9.9 5.2A10 10 0 0 1 12 5c5 0 8.5 4 10 7a16 16 0 0 1-3 4M6.3 7.3A15 15 0 0 0 2 12c1.5 3 5 7 10 7a9.5 9.5 0 0 0 4.3-1',
  artifact: 'M7 3h7l5 5v13H7zM14 3v5h5M10 13h6M10 16.5h6',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  folder: 'M3 6h6l2 2.5h10V19H3z',
  branch: 'M7 5a2 2 0 1 0 0 .01M7 19a2 2 0 1 0 0 .01M17 7a2 2 0 1 0 0 .01M7 7v10M17 9c0 4-3 4.5-10 6',
  history: 'M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4M12 8v4.5l3 2',
  no: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM6.5 6.5l11 11',
  tool: 'M14.5 5.5a4 4 0 0 0-4.6 5.6L4 17l3 3 5.9-5.9a4 4 0 0 0 5.6-4.6L16 12l-3-.9-.9-3z',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  sync: 'M20 11a8 8 0 0 0-14.6-3.5M4 4v4h4M4 13a8 8 0 0 0 14.6 3.5M20 20v-4h-4',
  out: 'M13 5h6v6M19 5l-8 8M17 14v5H5V7h5',
  clip: 'M19.5 11.5l-7.8 7.8a4.6 4.6 0 0 1-6.5-6.5L13 5a3.1 3.1 0 0 1 4.4 4.4l-7.8 7.8a1.6 1.6 0 0 1-2.2-2.2l7.1-7.1',
  picture: 'M4 5h16v14H4zM4 16l5-5 4.5 4.5 2.5-2.5 4 4M15.5 9.5h.01',
  globe: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM3.5 12h17M12 3.5c2.5 2.4 3.6 5.3 3.6 8.5s-1.1 6.1-3.6 8.5c-2.5-2.4-3.6-5.3-3.6-8.5s1.1-6.1 3.6-8.5z',
  code: 'M9 7l-5 5 5 5M15 7l5 5-5 5',
  plug: 'M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4',
  spark: 'M12 3.5c.9 5 3.5 7.6 8.5 8.5-5 .9-7.6 3.5-8.5 8.5-.9-5-3.5-7.6-8.5-8.5 5-.9 7.6-3.5 8.5-8.5z',
  keys: 'M3 6h18v12H3zM7 10h.01M12 10h.01M17 10h.01M7.5 14h9',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
};

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

// Her mark: a warm disc with a star, tinted by the overlay in force around it.
export function mark(size = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 64 64');
  const star = document.createElementNS(SVG, 'path');
  star.setAttribute('d', 'M32 12c2 12 8 18 20 20-12 2-18 8-20 20-2-12-8-18-20-20 12-2 18-8 20-20z');
  svg.append(star);
  return h('span', { class: size ? `mark mark-${size}` : 'mark', 'aria-hidden': 'true' }, svg);
}

export function iconButton(name, label, props = {}) {
  return h('button', { type: 'button', title: label, 'aria-label': label, ...props, class: `icon-button ${props.class || ''}`.trim() }, icon(name));
}

// Writes only when something changes, so that a quiet update costs no layout.
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

// `html` must come from the server, which sanitises last.
export function setServerHtml(el, html) {
  el.innerHTML = html;
}

// Brings the children into this order. One that stands right is left alone, and the keyboard stays where it is: to be
// moved is to lose it.
export function arrange(parent, children) {
  const held = parent.contains(document.activeElement) ? document.activeElement : null;
  let cursor = parent.firstChild;
  for (const child of children) {
    if (child === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(child, cursor);
  }
  if (held && held !== document.activeElement && held.isConnected) held.focus({ preventScroll: true });
}

export function setTint(el, colour) {
  const known = Boolean(colour && CSS.supports('color', colour));
  if (known) el.style.setProperty('--tint', colour);
  else el.style.removeProperty('--tint');
  el.classList.toggle('tinted', known);
}

// Plain http from another machine is no secure context, where randomUUID is missing.
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const area = h('textarea', { class: 'visually-hidden', value: text, readonly: true, 'aria-hidden': 'true' });
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  before?.focus();
  return copied;
}

export function copyButton(textOf, label = 'Copy') {
  const button = iconButton('copy', label, {
    class: 'copy',
    async onclick() {
      if (!(await copyText(textOf()))) return;
      button.replaceChildren(icon('check'));
      button.setAttribute('aria-label', 'Copied');
      setTimeout(() => {
        button.replaceChildren(icon('copy'));
        button.setAttribute('aria-label', label);
      }, 1_400);
    },
  });
  return button;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const OLD_DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT_OLD_DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

const valid = (time) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? null : date;
};

// The whole of it, where only a part is shown.
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

export const timeTag = (time) => h('time', { datetime: time, title: valid(time) ? WHOLE.format(valid(time)) : null }, clock(time));

export const clock = (time) => (valid(time) ? TIME.format(valid(time)) : '');

export function dayName(time) {
  const date = valid(time);
  if (!date) return '';
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return 'Today';
  if (date.toDateString() === yesterday.toDateString()) return 'Yesterday';
  return (date.getFullYear() === today.getFullYear() ? DAY : OLD_DAY).format(date);
}

// A day in few words, with its year when that is another one.
export function shortDay(time) {
  const date = valid(time);
  if (!date) return '';
  const name = dayName(time);
  if (name === 'Today' || name === 'Yesterday') return name.toLowerCase();
  return (date.getFullYear() === new Date().getFullYear() ? SHORT_DAY : SHORT_OLD_DAY).format(date);
}

export function shortTime(time) {
  const date = valid(time);
  if (!date) return '';
  return date.toDateString() === new Date().toDateString() ? TIME.format(date) : SHORT_DAY.format(date);
}
