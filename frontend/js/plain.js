// Markdown as the plain words it stands for, for places where a text is quoted and not set: chips, cards, questions.
// Not a parser: what is no markup for certain stays as it is.

const MOST_CHARS = 2_000; // of a line: in a longer one all markup stays, since looking for its end would take long
const FENCE = /^\s{0,3}(`{3,}|~{3,})/;

const LINES = [
  [/^\s{0,3}#{1,6}\s+(.*?)\s*#*$/, '$1'],
  [/^\s{0,3}(?:>\s?)+/, ''],
  [/^(\s*)[-*+]\s+(?:\[[ xX]\]\s+)?/, '$1'],
  [/^\s{0,3}(?:[-*_]\s*){3,}$/, ''],
  [/^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*:?-*:?\s*$/, ''],
];

const INLINE = [
  [/!?\[([^\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"]*")?\)/g, '$1'],
  [/(\*\*|__|~~)(?=\S)([^\n]*?\S)\1/g, '$2'],
  [/(?<![\w*])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])/g, '$1'],
  [/(?<![\w_])_(?=[^\s_])([^_\n]*?[^\s_])_(?![\w_])/g, '$1'],
  [/\\([*_`#>~|+!.-])/g, '$1'], // strokes of formulas stay
];

const CODE = /(`+)([^`]|[^`].*?[^`])\1(?!`)/g;

// What stands in code is left as it stands.
function inlinePlain(line) {
  let out = '';
  let from = 0;
  const words = (text) => INLINE.reduce((rest, [what, by]) => rest.replace(what, by), text);
  for (const match of line.matchAll(CODE)) {
    out += words(line.slice(from, match.index)) + match[2];
    from = match.index + match[0].length;
  }
  return out + words(line.slice(from));
}

export function plainText(markdown) {
  const out = [];
  let fence = null;
  for (const line of String(markdown || '').split('\n')) {
    const [, mark] = FENCE.exec(line) || [];
    if (mark && (!fence || mark.startsWith(fence))) fence = fence ? null : mark;
    else out.push(fence || line.length > MOST_CHARS ? line : inlinePlain(LINES.reduce((rest, [what, by]) => rest.replace(what, by), line)));
  }
  return out.join('\n').replace(/\n{3,}/g, '\n\n').trim();
}

// The words of a memory. A fact is a sentence; a message or a summary may be set.
export const memoryText = ({ kind, text }) => (kind === 'fact' ? text || '' : plainText(text));
