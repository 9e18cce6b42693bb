// Around the conversation: voices and moods, sessions, search, scrolling, colours, a small screen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fits } from './comfort.mjs';
import { ask, at, composer, finished, house, ready, replies, said, say, until, untilShown, visit } from './support.mjs';

const { mira, browser } = await house({ model: true });

const openPanel = async (page) => {
  await page.getByTestId('persona-button').click();
  await page.getByTestId('panel').waitFor();
};

test('a pinned voice is pinned in every tab, and released in every tab', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('voices');
  const [one, two] = [await talk(session), await talk(session)];
  await openPanel(one);
  await openPanel(two);
  const { personas } = await mira.api('GET', 'api/personas');
  assert.ok(personas.length >= 4);
  const { title } = personas.find((p) => p.name === 'hallow');
  await one.getByTestId('persona-hallow').click();
  for (const tab of [one, two]) {
    await tab.locator('[data-testid="persona-hallow"][aria-checked="true"]').waitFor();
    await until(() => tab.getByTestId('persona-button').innerText(), (text) => text.includes(title), 'the header shows the pinned voice');
    await tab.locator('.her-overlay.pinned').waitFor();
  }
  await say(two, ask('In which voice?', 'persona=forbidden'));
  assert.equal(await finished(one), 'In which voice?');
  const { messages } = await mira.api('GET', `api/chat/history?session_id=${session}`);
  assert.equal(messages.at(-1).persona, 'hallow', 'a pin wins');
  await two.getByTestId('persona-release').click();
  for (const tab of [one, two]) {
    await tab.locator('[data-testid="persona-release"][aria-checked="true"]').waitFor();
    await until(() => tab.locator('.her-overlay.pinned').count(), (count) => count === 0, 'the pin is gone');
  }
});

test('a nudge is told, seen in both tabs, and part of how she was lately', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('moods');
  const [one, two] = [await talk(session), await talk(session)];
  await say(one, ask('So.', 'mood=prickly cause="a scripted reason"'));
  await finished(two);
  await until(() => two.getByTestId('mood').innerText(), (mood) => mood === 'prickly', 'her mood shows');
  assert.equal(await two.getByTestId('mood-cause').innerText(), 'a scripted reason');
  await openPanel(two);
  await two.getByTestId('mood-timeline').getByText('a scripted reason').waitFor();
  await two.getByTestId('mood-nudge').fill('velvety');
  await two.getByTestId('mood-nudge-submit').click();
  for (const tab of [one, two]) await until(() => tab.getByTestId('mood').innerText(), (mood) => mood === 'velvety', 'the nudge shows');
  await two.getByTestId('mood-timeline').getByText('velvety').waitFor();
  await two.getByTestId('mood-timeline').getByText('prickly').first().waitFor();
});

test('sessions: made, named, renamed, pinned, archived, deleted, seen in every tab', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const [one, two] = [await talk(), await talk()];
  const titles = (page) => page.getByTestId('session-item').allInnerTexts();
  const seen = (page, name, there = true) => until(() => titles(page), (all) => all.some((text) => text.includes(name)) === there, `${name} ${there ? 'appears' : 'goes'}`);

  await one.getByTestId('new-session').click();
  const made = await until(() => one.url(), (url) => url.includes('#/s/'), 'the new session opens');
  await one.locator(`.session.current [data-session-id="${made.split('/').at(-1)}"]`).waitFor();
  await say(one, `Plans for the garden ${ask('Dig.')}`);
  await finished(one);
  await seen(two, 'Plans for the garden');

  const menu = async (page, entry) => {
    await page.locator('.session.current').hover();
    await page.locator('.session.current').getByTestId('session-menu').click();
    await page.getByTestId(entry).click();
  };
  await menu(one, 'session-rename');
  await one.getByTestId('rename-field').fill('The garden');
  await one.getByTestId('rename-field').press('Enter');
  await Promise.all([seen(one, 'The garden'), seen(two, 'The garden')]);

  const id = one.url().split('/').at(-1);
  await menu(one, 'session-archive');
  await two.locator('.archive').waitFor();
  await one.locator('.archive summary').click();
  await until(() => one.evaluate(() => localStorage.getItem('mira.archive')), (kept) => kept === 'open', 'it is kept open');
  await menu(one, 'session-archive');
  await until(() => mira.api('GET', `api/sessions/${id}`), (session) => session.archived === false, 'it is back');

  await two.locator(`[data-session-id="${id}"]`).click();
  await untilShown(two, 'Dig.');
  await menu(one, 'session-delete');
  await one.getByTestId('confirm-no').click();
  await seen(one, 'The garden');
  await menu(one, 'session-delete');
  await one.getByTestId('confirm-yes').click();
  await Promise.all([seen(one, 'The garden', false), seen(two, 'The garden', false)]);
  for (const tab of [one, two]) await until(() => tab.url(), (url) => !url.includes(id), 'the deleted session is left');
});

test('the default session is cleared, never removed', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const [one, two] = [await talk(), await talk()];
  await say(one, ask('to be forgotten'));
  for (const tab of [one, two]) await untilShown(tab, 'to be forgotten');
  await one.locator('.session.current').hover();
  await one.locator('.session.current').getByTestId('session-menu').click();
  await one.getByTestId('session-delete').click();
  await one.getByTestId('confirm-yes').click();
  for (const tab of [one, two]) {
    await until(() => replies(tab).count(), (count) => count === 0, 'the words go');
    await tab.getByText('Mira is here.').waitFor();
    await ready(tab);
  }
  await say(two, ask('a new beginning'));
  await untilShown(one, 'a new beginning');
  assert.equal(await said(one).count(), 1);
});

// A long conversation, told to the server directly.
async function longTalk(turns) {
  const session = await mira.session('long');
  for (let turn = 1; turn <= turns; turn += 1) {
    await mira.api('POST', 'api/chat', { session_id: session, content: ask(`answer number${turn}\n\n${'and more of it. '.repeat(20)}`) });
  }
  return session;
}

test('history comes on scroll without a jump, and search finds and shows what is far back', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await longTalk(45);
  const page = await talk(session);
  await page.getByText('answer number45', { exact: true }).waitFor();
  const first = await replies(page).count();
  assert.ok(first < 45, `${first} replies at once`);
  const thread = page.locator('main.thread');
  const atBottom = () => thread.evaluate((el) => el.scrollHeight - el.scrollTop - el.clientHeight < 50);
  assert.equal(await atBottom(), true);

  // What is read stays where it is when older words come above it.
  const before = await thread.evaluate((el) => {
    el.scrollTop = 400;
    const read = [...el.querySelectorAll('.entry')].find((entry) => entry.getBoundingClientRect().top >= el.getBoundingClientRect().top);
    read.dataset.read = 'yes';
    return read.getBoundingClientRect().top;
  });
  await until(() => replies(page).count(), (count) => count > first, 'older words come');
  const moved = await thread.evaluate((el) => el.querySelector('[data-read]').getBoundingClientRect().top) - before;
  assert.ok(Math.abs(moved) < 2, `what was read moved by ${moved} px`);
  await thread.hover();
  await until(async () => {
    await page.mouse.wheel(0, -4_000);
    return replies(page).count();
  }, (count) => count === 45, 'all older words come');
  const order = (await replies(page).allInnerTexts()).map((text) => Number(/answer number(\d+)/.exec(text)[1]));
  assert.deepEqual(order, Array.from({ length: 45 }, (_, n) => n + 1));
  await until(async () => {
    await page.mouse.wheel(0, -4_000);
    return page.getByText('answer number1', { exact: true }).isVisible();
  }, Boolean, 'the first words are reached');

  // New words do not tear the reader away; the way back is one click.
  await mira.api('POST', 'api/chat', { session_id: session, content: ask('the newest words') });
  await replies(page).getByText('the newest words').waitFor({ state: 'attached' });
  assert.equal(await atBottom(), false);
  await page.getByTestId('jump').click();
  await until(atBottom, Boolean, 'the way down');

  const other = await talk();
  await other.keyboard.press('Control+k');
  await other.getByTestId('search-field').fill('number3');
  await other.locator('[data-testid="search-result"] mark').first().waitFor();
  const hit = other.getByTestId('search-result').filter({ hasText: 'number3' }).filter({ hasText: 'Mira' }).last();
  await hit.click();
  await until(() => other.url(), (url) => url.includes(session), 'its session opens');
  await until(() => other.evaluate(() => { // it is marked for a while only
    const box = document.querySelector('.entry.found')?.getBoundingClientRect();
    return Boolean(box && box.bottom > 0 && box.top < innerHeight);
  }), Boolean, 'it is on screen');
  for (const odd of ['"', 'a AND', '*', 'NEAR(', '(']) {
    await other.keyboard.press('Control+k');
    await other.getByTestId('search-field').fill(odd);
    await until(() => other.locator('.search-note').innerText(), (note) => !/wrong|failed|error/i.test(note), 'any text is a query');
    await other.keyboard.press('Escape');
  }
});

const RICH = `# A heading that is rather long for a telephone\n\n| one | two | three | four | five |\n|---|---|---|---|---|\n| ${'wide '.repeat(8)} | b | c | d | ${'wide '.repeat(8)} |\n\n\`\`\`rust\nfn a_function_with_a_rather_long_name(argument: &str, another_argument: &str) -> Result<String, Box<dyn std::error::Error>> {}\n\`\`\`\n\nA word: ${'unbreakable'.repeat(20)} https://example.com/${'path/'.repeat(30)}`;

for (const colorScheme of ['dark', 'light']) {
  test(`a narrow screen in ${colorScheme} shows everything without scrolling sideways`, async (t) => {
    const { talk } = await visit(browser, mira, t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const page = await talk(await mira.session(`A narrow screen ${colorScheme} ${'with a long name '.repeat(5)}`));
    await fits(page, 'empty');
    await say(page, `${'A long message of the owner '.repeat(6)} ${'w'.repeat(120)} ${ask(RICH)}`);
    await finished(page);
    await fits(page, 'a conversation');
    const [ink, paper] = await page.evaluate(() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]
      .map((colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)));
    assert.equal(ink > paper, colorScheme === 'dark', 'the colours are the system\'s');
    await openPanel(page);
    await fits(page, 'her panel');
    await page.keyboard.press('Escape');
    await page.getByTestId('drawer').click();
    await page.getByTestId('new-session').waitFor();
    await fits(page, 'the drawer');
    await page.getByTestId('search').click();
    await page.getByTestId('search-field').fill('unbreakable');
    await page.getByTestId('search-field').fill('long');
    await page.getByTestId('search-result').first().waitFor();
    await fits(page, 'search');
    await page.keyboard.press('Escape');
    await say(page, ask('And stop.', 'status=400'));
    await page.getByTestId('error').waitFor();
    await fits(page, 'an error');
  });
}

for (const [where, options] of [['a wide screen', {}], ['a narrow screen', { viewport: { width: 360, height: 740 } }]]) {
  test(`every panel takes the keyboard and gives it back, on ${where}`, async (t) => {
    const { talk } = await visit(browser, mira, t, options);
    const { session } = await mira.project('Keys');
    const page = await talk(session);
    const inPanel = () => page.evaluate(() => Boolean(document.activeElement.closest('.panel, dialog')));
    // Enter opens, Escape closes; answers where the keyboard is then.
    async function thereAndBack(id) {
      await until(async () => { // what a panel covered is within reach again a frame after it
        await page.getByTestId(id).focus();
        return at(page);
      }, (where) => where === id, `${id} can be reached`);
      await page.keyboard.press('Enter');
      await until(inPanel, Boolean, `what ${id} opens takes the keyboard`);
      await page.keyboard.press('Escape');
      await until(inPanel, (inside) => !inside, `what ${id} opens gives it back`);
      return at(page);
    }
    for (const id of ['persona-button', 'memory-button', 'projects-button', 'artifacts-button', 'repos-button']) assert.equal(await thereAndBack(id), id);
    for (const id of ['open-projects', 'open-files', 'open-abilities', 'search']) {
      if (options.viewport) {
        await page.getByTestId('drawer').focus();
        await page.keyboard.press('Enter');
        await until(() => page.evaluate(() => Boolean(document.activeElement.closest('.sidebar'))), Boolean, 'the drawer takes the keyboard');
      }
      assert.equal(await thereAndBack(id), options.viewport ? 'drawer' : id);
    }
  });
}

// Some telephones make only what is seen smaller, not the page.
test('a keyboard laid over the page leaves the message field in sight', async (t) => {
  const { talk } = await visit(browser, mira, t, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  const page = await talk(await mira.session('keyboard'));
  const seen = (height) => page.evaluate((px) => {
    if (px) Object.defineProperty(visualViewport, 'height', { value: px, configurable: true });
    else delete visualViewport.height;
    visualViewport.dispatchEvent(new Event('resize'));
  }, height);
  const bottom = async () => {
    const box = await page.locator('.composer-box').boundingBox();
    return box.y + box.height;
  };
  assert.ok(await bottom() > 660);
  await seen(430);
  assert.ok(await bottom() <= 430, `the field ends at ${await bottom()}`);
  await seen(null);
  assert.ok(await bottom() > 660);
});

test('the colours can be chosen and are remembered', async (t) => {
  const { talk } = await visit(browser, mira, t, { colorScheme: 'light' });
  const page = await talk();
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const bar = () => page.evaluate(() => {
    const inForce = [...document.querySelectorAll('meta[name="theme-color"]')].filter((meta) => matchMedia(meta.media).matches);
    const [, ...parts] = /^#(..)(..)(..)$/.exec(inForce.length === 1 && inForce[0].content);
    return `rgb(${parts.map((part) => parseInt(part, 16)).join(', ')})`;
  });
  const light = await paper();
  assert.equal(await bar(), light);
  await until(async () => {
    await page.getByTestId('theme').click();
    return page.evaluate(() => document.documentElement.dataset.theme);
  }, (theme) => theme === 'dark', 'dark is one of the choices');
  const dark = await until(paper, (colour) => colour !== light, 'it is dark');
  assert.equal(await bar(), dark);
  await page.reload();
  await ready(page);
  assert.equal(await paper(), dark);
  assert.equal(await bar(), dark);
});

test('the page can be put on a home screen', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk();
  const tools = await page.context().newCDPSession(page);
  const { url, data, errors } = await tools.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  assert.equal(new URL(manifest.start_url, url).href, new URL('./', page.url()).href);
  for (const { src, type, sizes } of manifest.icons) {
    const shown = await page.evaluate(async (icon) => {
      const image = new Image();
      image.src = icon;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, new URL(src, url).href);
    if (type === 'image/png') assert.equal(shown, sizes);
  }
  const { installabilityErrors } = await tools.send('Page.getInstallabilityErrors');
  // A window that keeps nothing cannot install anything: the only thing that may be in the way here.
  assert.deepEqual(installabilityErrors.map((error) => error.errorId).filter((id) => id !== 'in-incognito'), []);
});

test('a draft waits where it was written', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('draft');
  const page = await talk(session);
  await composer(page).fill('not yet sent');
  await page.reload();
  await ready(page);
  assert.equal(await composer(page).inputValue(), 'not yet sent');
  assert.equal(await said(page).count(), 0);
});
