// Where a quoted passage stands in a text. White space may differ and the end may be cut off; what is found in no part
// stands nowhere.

const LEAST = 24; // letters of a part: fewer may stand anywhere
const SKIPPED = /[\s\u00ad\u200b\ufeff\p{Cc}]/u;

// The letters without white space, and where each stands.
function lettersOf(text) {
  const places = [];
  let letters = '';
  for (let at = 0; at < text.length; at += 1) {
    if (SKIPPED.test(text[at])) continue;
    letters += text[at];
    places.push(at);
  }
  return { letters, places };
}

// { start, end } in the text, or null.
export function findPassage(text, passage) {
  const { letters, places } = lettersOf(text);
  const wanted = lettersOf(passage.replace(/(?:…|\.\.\.)\s*$/, '')).letters;
  if (!wanted) return null;
  const [from, length] = letters.includes(wanted) ? [letters.indexOf(wanted), wanted.length] : partIn(letters, wanted);
  return length > 0 ? { start: places[from], end: places[from + length - 1] + 1 } : null;
}

// The first part of it that stands there, as far as it goes on.
function partIn(letters, wanted) {
  for (let begin = 0; begin + LEAST <= wanted.length; begin += LEAST) {
    const from = letters.indexOf(wanted.slice(begin, begin + LEAST));
    if (from < 0) continue;
    let length = LEAST;
    while (begin + length < wanted.length && wanted[begin + length] === letters[from + length]) length += 1;
    return [from, length];
  }
  return [0, 0];
}
