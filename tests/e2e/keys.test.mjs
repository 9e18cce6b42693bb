// Writing and getting about: keys, the keyboard of a telephone, long texts, and a conversation taken along.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ask, at, composer, finished, house, ready, replies, said, say, tell, until, untilShown, visit, words } from './support.mjs';

const { sim, mira, browser } = await house({ model: true });

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

// As the browser pastes it: into the field, which has the keyboard.
const paste = (page, text) => page.evaluate((pasted) => {
  const data = new DataTransfer();
  data.setData('text/plain', pasted);
  const field = document.activeElement;
  if (!field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))) return;
  field.setRangeText(pasted, field.selectionStart, field.selectionEnd, 'end');
  field.dispatchEvent(new Event('input', { bubbles: true }));
}, text);

test('on a telephone Enter is a new line, and the button sends', async (t) => {
  const { talk } = await visit(browser, mira, t, PHONE);
  const page = await talk(await mira.session('thumbs'));
  assert.equal(await composer(page).getAttribute('enterkeyhint'), 'enter');
  await composer(page).focus();
  await page.keyboard.type('one');
  await page.keyboard.press('Enter');
  await page.keyboard.type('two');
  assert.equal(await composer(page).inputValue(), 'one\ntwo');
  assert.equal(await said(page).count(), 0);
  await page.getByTestId('send').tap();
  await finished(page);
  await page.keyboard.type(ask('from a keyboard at hand'));
  await page.keyboard.press('Control+Enter');
  await untilShown(page, 'from a keyboard at hand');
  await finished(page);
  await said(page).last().getByTestId('edit').tap();
  await page.keyboard.press('Enter');
  assert.match(await page.getByTestId('edit-field').inputValue(), /\n$/);
});

test('Escape stops her, where nothing is open to be closed', async (t) => {
  const { talk } = await visit(browser, mira, t);
  t.after(() => sim.release());
  const page = await talk(await mira.session('escape'));
  sim.hold(40);
  await say(page, ask(words(80)));
  await untilShown(page, 'w1 ');
  await page.keyboard.press('Alt+m');
  await page.getByTestId('memory-panel').waitFor();
  await page.keyboard.press('Escape');
  await until(() => page.getByTestId('memory-panel').isVisible(), (open) => !open, 'the panel closes');
  assert.equal(await replies(page).last().getAttribute('data-status'), 'live', 'and she goes on');
  await composer(page).focus();
  await page.keyboard.press('Escape');
  await finished(page, 'stopped');
});

test('keys lead to a new conversation, to the list of keys, and up the page', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('keys'));
  for (let n = 1; n <= 3; n += 1) await tell(page, ask(`part ${n}\n\n${'a line of it. '.repeat(120)}`));
  await composer(page).focus();
  const scrolled = () => page.locator('main.thread').evaluate((el) => el.scrollTop);
  const bottom = await scrolled();
  await page.keyboard.press('PageUp');
  const up = await until(scrolled, (top) => top < bottom - 200, 'the page turns');
  await page.keyboard.press('PageDown');
  await until(scrolled, (top) => top > up, 'and back');
  assert.equal(await at(page), 'composer');

  // A click on what she said takes the keyboard nowhere: the next word is for her.
  await replies(page).last().locator('.prose').click();
  assert.notEqual(await at(page), 'composer');
  await page.keyboard.type('so');
  assert.equal(await composer(page).inputValue(), 'so');
  await composer(page).fill('');

  await page.keyboard.press('Control+/');
  assert.match(await page.getByTestId('keys').innerText(), /Alt\s*N\s*A new conversation/);
  await page.keyboard.press('Escape');
  await until(() => page.getByTestId('keys').count(), (count) => count === 0, 'it closes');
  assert.equal(await at(page), 'composer');

  const before = page.url();
  await page.keyboard.press('Alt+n');
  await until(() => page.url(), (url) => url !== before && url.includes('#/s/'), 'another conversation is on screen');
  await ready(page);
  await until(() => at(page), (where) => where === 'composer', 'ready to be written in');
});

test('a long text can go as a file, and one that is too long never ends the connection', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('long texts'));
  await composer(page).fill('What do you make of this? ');
  await composer(page).focus();
  await paste(page, 'It was a dark and stormy night.\r\n'.repeat(1_000).replaceAll('\r\n', '\n'));
  await page.getByTestId('notice').getByRole('button', { name: 'Make it a file' }).click();
  await page.locator('[data-testid="attached-file"][data-state="there"]').waitFor();
  assert.equal(await composer(page).inputValue(), 'What do you make of this? ');
  assert.match(await page.getByTestId('attached-file').innerText(), /Pasted .*\.txt[^]*32 kB/);
  await page.getByTestId('attached-remove').click();

  await composer(page).fill('');
  await paste(page, 'é'.repeat(600_000));
  await page.getByTestId('send').click();
  const refused = page.getByTestId('message-pending');
  await until(() => refused.innerText().catch(() => ''), (text) => /longer than a message can be/.test(text), 'it says so');
  assert.equal(await page.locator('.top').getAttribute('data-link'), 'online');
  await refused.getByTestId('discard').click();
  assert.equal((await composer(page).inputValue()).length, 600_000, 'nothing is lost');
  await composer(page).fill('');
  await tell(page, ask('Shorter is fine.'));
});

test('a conversation is found by its name, and the page is called so', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('Zanzibar');
  await mira.api('POST', 'api/chat', { session_id: session, content: `Where to? ${ask('Somewhere warm.')}` });
  const page = await talk(await mira.session('On the way'));
  await until(() => page.title(), (title) => title === 'On the way · Mira', 'the page is called as the conversation');
  await page.keyboard.press('Control+k');
  await page.getByTestId('search-field').fill('zanzi');
  await page.getByTestId('search-session').waitFor();
  await page.keyboard.press('Enter');
  await untilShown(page, 'Somewhere warm.');
  await until(() => page.title(), (title) => title === 'Zanzibar · Mira', 'and follows it');
});

test('a conversation can be taken along as text', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('To keep: a/b?');
  for (let n = 1; n <= 3; n += 1) await mira.api('POST', 'api/chat', { session_id: session, content: `question ${n} ${ask(`*answer* ${n}`)}` });
  const page = await talk(session);
  await page.locator('.session.current').hover();
  await page.locator('.session.current').getByTestId('session-menu').click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('session-save').click()]);
  assert.equal(download.suggestedFilename(), 'To keep a b.md');
  const text = readFileSync(await download.path(), 'utf8');
  assert.ok(text.startsWith('# To keep: a/b?\n'));
  const order = [...text.matchAll(/question \d|\*answer\* \d(?=\n)/g)].map(([part]) => part);
  assert.deepEqual(order, ['question 1', '*answer* 1', 'question 2', '*answer* 2', 'question 3', '*answer* 3']);
});
