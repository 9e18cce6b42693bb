// What a friend with a small telephone would stumble over: what is wider than the screen, words too faint to read, what
// a finger cannot hit. Measured on the page as it stands.

import assert from 'node:assert/strict';

const FRAMES = 'html, body, .top, .stage, .thread, .entry, .tool-card, .panel, .sidebar, .search, .sheet, .sheet-body';

// Fails on what does not fit. `what` names the view.
export async function fits(page, what) {
  const width = page.viewportSize().width;
  assert.deepEqual(await page.evaluate(wide, FRAMES), [], `${what}: no scrolling sideways`);
  assert.equal(await page.evaluate(() => visualViewport.width), width, what);
  assert.deepEqual(await page.evaluate(faint), [], `${what}: everything can be read`);
  assert.deepEqual(await page.evaluate(small), [], `${what}: everything can be hit`);
}

const wide = (frames) => [...document.querySelectorAll(frames)]
  .filter((el) => el.checkVisibility() && el.scrollWidth > el.clientWidth + 1).map((el) => `${el.className || el.tagName} ${el.scrollWidth}`);

// Words whose contrast is below WCAG 2.2's 1.4.3: 4.5, or 3 for large ones. What is switched off is left out, as there.
export function faint() {
  const brush = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const read = (css) => {
    if (!known.has(css)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = css;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(css, { rgb: [r, g, b], alpha: a / 255 });
    }
    return known.get(css);
  };
  const over = (top, alpha, below) => top.map((part, index) => part * alpha + below[index] * (1 - alpha));
  const light = (rgb) => rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const contrast = (a, b) => {
    const [low, high] = [light(a), light(b)].toSorted((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  // What may lie behind an element: one colour, or each of a gradient's.
  function behind(el) {
    if (!el) return [[255, 255, 255]];
    const { backgroundColor, backgroundImage } = getComputedStyle(el);
    const plain = read(backgroundColor);
    const stops = (backgroundImage.match(/(?:rgba?|color|oklab|oklch|hsla?|lab|lch)\([^()]*\)/g) || []).map(read);
    const layers = stops.length > 0 ? stops : [plain];
    if (layers.every(({ alpha }) => alpha > 0.999)) return layers.map(({ rgb }) => rgb);
    const ground = behind(el.parentElement);
    return layers.flatMap(({ rgb, alpha }) => ground.map((below) => over(rgb, alpha, below)));
  }
  function opacity(el) {
    let value = 1;
    for (let at = el; at; at = at.parentElement) value *= Number(getComputedStyle(at).opacity);
    return value;
  }
  const shown = (el) => el.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !el.closest('.visually-hidden, :disabled, [inert], [aria-hidden="true"]') && el.getClientRects().length > 0;
  function judge(el, style, words, share = 1) {
    const ink = read(style.color);
    const size = Number.parseFloat(style.fontSize);
    const enough = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const strength = ink.alpha * opacity(el) * share;
    const worst = Math.min(...behind(el).map((ground) => contrast(over(ink.rgb, strength, ground), ground)));
    return worst < enough - 0.01 ? [`${words.trim().slice(0, 40)} (${el.tagName} in ${el.closest('[class]:not([class=""])')?.className}): ${worst.toFixed(2)}`] : [];
  }
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { data, parentElement: el } = walk.currentNode;
    if (data.trim() && !['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(el.tagName) && shown(el)) found.push(...judge(el, getComputedStyle(el), data));
  }
  for (const field of document.querySelectorAll('input, textarea')) {
    const style = getComputedStyle(field, '::placeholder');
    if (field.placeholder && !field.value && shown(field)) found.push(...judge(field, style, field.placeholder, Number(style.opacity)));
  }
  return [...new Set(found)];
}

// What can be pressed but not by a finger: less than 44 px each way, the room around it that also counts included. What
// stands in a line of text is as high as the line.
export function small() {
  const REACH = 21; // from the middle
  const IN_A_LINE = '.prose a, .cite, .line-number *, .line-who *, .skip-link';
  const pressed = [...document.querySelectorAll('button, a[href], input, select, textarea, summary')].filter((el) => !el.matches(IN_A_LINE)
    && !el.matches(':disabled, [hidden], .visually-hidden') && !el.closest('[inert], [aria-hidden="true"]') && el.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
  const target = (el) => el.closest('label') || el;
  return pressed.flatMap((one) => {
    const el = target(one);
    const box = el.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const hits = (dx, dy) => {
      const hit = document.elementFromPoint(x + dx, y + dy);
      return Boolean(hit && (el.contains(hit) || hit.contains(one) && hit.matches('summary, label')));
    };
    if (!hits(0, 0)) return []; // out of sight
    const beside = box.width >= 43.5 || (hits(-REACH, 0) && hits(REACH, 0));
    const above = box.height >= 43.5 || (hits(0, -REACH) && hits(0, REACH));
    return beside && above ? [] : [`${one.dataset.testid || one.className || one.tagName} ${one.textContent.trim().slice(0, 24)} ${Math.round(box.width)}×${Math.round(box.height)}`];
  });
}
