// The keyboard, and that of a telephone: what Enter does; and where the browser lays it over the page, the page ends above it, so that the message
// field stays in sight. Where the browser makes the page smaller by itself, nothing is left to do.

const TOUCH = matchMedia('(pointer: coarse)');
const COMPOSING = 229; // some browsers end a composition with an Enter that says so only here

// Whether a key sends what is written. The keyboard of a telephone has no Shift+Enter: there Enter is a new line, and
// the button sends.
export function sends({ key, keyCode, isComposing, shiftKey, ctrlKey, metaKey }) {
  if (key !== 'Enter' || isComposing || keyCode === COMPOSING) return false;
  return ctrlKey || metaKey || (!shiftKey && !TOUCH.matches);
}

export const enterHint = () => (TOUCH.matches ? 'enter' : 'send');

const LEAST_PX = 80; // a bar that comes and goes is less

export function keepAboveKeyboard() {
  const seen = window.visualViewport;
  if (!seen) return;
  const root = document.documentElement;
  let covered = false;

  function fit() {
    // Somebody who zooms in sees a part on purpose.
    const over = seen.scale > 1.01 ? 0 : root.clientHeight - seen.height;
    if (over < LEAST_PX && !covered) return;
    covered = over >= LEAST_PX;
    if (covered) root.style.setProperty('--seen', `${seen.height}px`);
    else root.style.removeProperty('--seen');
    // The browser has moved the page to show the field; that is not needed any more.
    if (covered) window.scrollTo(0, 0);
  }

  seen.addEventListener('resize', fit);
  seen.addEventListener('scroll', fit);
}
