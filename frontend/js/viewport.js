// The keyboard of a telephone: where the browser lays it over the page, the page ends above it, so that the message
// field stays in sight. Where the browser makes the page smaller by itself, nothing is left to do.

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
