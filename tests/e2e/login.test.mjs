// The door: the token, the one-time link, a wrong token, leaving.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOT_LOGGED_IN, TOKEN, composer, house, loginLink, ready, until, visit } from './support.mjs';

const { mira, browser } = await house();

// Wrong tries are counted for everybody: nothing that needs to be refused otherwise comes after the last test.
const outside = { login: false, expected: NOT_LOGGED_IN };

test('the token opens the door, and the browser stays known', async (t) => {
  const { open } = await visit(browser, mira, t, outside);
  const page = await open();
  assert.equal(await composer(page).count(), 0);
  await page.getByTestId('login-token').fill(TOKEN);
  await page.getByTestId('login-submit').click();
  await ready(page);
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, cookie: document.cookie }));
  assert.ok(!kept.includes(TOKEN), 'the token stays out of reach of scripts');
  await page.reload();
  await ready(page);
  assert.equal(await page.getByTestId('login-token').count(), 0);
});

test('a wrong token says so and lets one try again', async (t) => {
  const { open } = await visit(browser, mira, t, outside);
  const page = await open();
  await page.getByTestId('login-token').fill('not the token');
  await page.getByTestId('login-submit').click();
  await until(() => page.getByTestId('login-error').innerText(), (text) => text !== '', 'no error is shown');
  await page.getByTestId('login-token').fill(TOKEN);
  await page.getByTestId('login-submit').press('Enter');
  await ready(page);
});

test('the one-time link opens it once and leaves the address bar', async (t) => {
  const link = loginLink(mira);
  assert.ok(link, 'the server prints a link at start');
  const first = await visit(browser, mira, t, outside);
  const page = await first.open(link);
  await ready(page);
  assert.ok(!page.url().includes('login='), 'the code is gone from the address');

  const second = await visit(browser, mira, t, outside);
  const late = await second.open(link);
  await until(() => late.getByTestId('login-error').innerText(), (text) => text !== '', 'a used link must be refused');
  assert.equal(await composer(late).count(), 0);
});

test('logging out ends it in every tab and leaves nothing behind', async (t) => {
  const { talk, context } = await visit(browser, mira, t, { expected: NOT_LOGGED_IN });
  const page = await talk();
  const other = await talk();
  await composer(page).fill('half a thought');
  await until(() => page.evaluate(() => JSON.stringify(localStorage)), (kept) => kept.includes('half a thought'), 'a draft is kept');
  await page.getByTestId('logout').click();
  await page.getByTestId('login-token').waitFor();
  await other.getByTestId('login-token').waitFor();
  await until(() => page.evaluate(() => JSON.stringify(localStorage)), (kept) => !kept.includes('half a thought'), 'the draft is gone');
  assert.equal((await context.request.get(`${mira.url}/api/sessions`)).status(), 401);
  await page.reload();
  await page.getByTestId('login-token').waitFor();
});

test('after too many wrong tokens the right one is let in at once, and the page says so', async (t) => {
  const { open } = await visit(browser, mira, t, { login: false, expected: [...NOT_LOGGED_IN, /status of 429/] });
  const page = await open();
  const words = () => page.getByTestId('login-error').innerText();
  await until(async () => {
    await page.getByTestId('login-token').fill('still not the token');
    await page.getByTestId('login-token').press('Enter');
    return until(words, (text) => text !== '', 'no error is shown');
  }, (text) => /no need to wait: the right token gets in at once\.$/.test(text), 'the tries are not counted');
  assert.match(await page.locator('#login-help').innerText(), /mira-backend token[^]*cargo run --release -- token/);
  await page.getByTestId('login-token').fill(TOKEN);
  await page.getByTestId('login-submit').click();
  await ready(page);
});
