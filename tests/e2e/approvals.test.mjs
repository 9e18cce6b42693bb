// What she may do only with the owner's word: asked on the call's card, answered anywhere, refused by default.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOST_CONNECTION, at, askTool, finished, house, lastReply, ready, say, startMira, until, visit } from './support.mjs';

const { sim, mira, browser } = await house({ model: true });

// A project that asks before anything is changed.
async function careful(name, server = mira) {
  const { project, session } = await server.project(name);
  await server.api('PATCH', `api/projects/${project}`, { approvals: 'writes' });
  return { project, session };
}

const make = (name, output) => askTool('create_artifact', { name, type: 'note', language: null, content: 'A line.' }, output);
const artifacts = async (project) => (await mira.api('GET', `api/projects/${project}/artifacts`)).artifacts.map((one) => one.name);
const ask = (page) => page.getByTestId('ask');
const status = (page) => lastReply(page).getByTestId('tool-card').getAttribute('data-status');

test('she asks on the card, waits through a reload, and does it once allowed', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project, session } = await careful('Allowed');
  const [page, other] = [await talk(session), await talk(session)];
  await say(page, make('A careful note', 'Made.'));
  const words = await until(() => ask(page).innerText(), (text) => /"content": "A line\."/.test(text), 'all of it is shown');
  assert.match(words, /May she make an artifact: A careful note\?/);
  assert.match(words, /asks before anything is changed/);
  assert.match(words, /left/);
  assert.equal(await status(page), 'waiting');
  assert.notEqual(await page.evaluate(() => document.activeElement.dataset.testid), 'approve');
  await until(() => page.locator('#announcer').innerText(), (told) => /asks for your word/.test(told), 'it is announced');
  assert.deepEqual(await artifacts(project), []);

  await page.reload();
  await ready(page);
  await ask(page).waitFor();
  assert.equal(await status(page), 'waiting');
  await ask(other).getByTestId('approve').click();
  await finished(page);
  await until(() => status(page), (value) => value === 'ok', 'it was done');
  await until(async () => (await ask(page).count()) + (await ask(other).count()), (count) => count === 0, 'nothing is asked any more');
  assert.deepEqual(await artifacts(project), ['A careful note']);
});

test('a no is kept, and nothing is done', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project, session } = await careful('Refused');
  const page = await talk(session);
  await say(page, make('Never', 'As you wish.'));
  await ask(page).getByTestId('deny').click();
  await finished(page);
  await until(() => status(page), (value) => value === 'denied', 'it was refused');
  assert.equal(await ask(page).count(), 0);
  assert.deepEqual(await artifacts(project), []);
});

test('other conversations that wait are told of at once, and a click leads there', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const [one, two] = [await careful('Elsewhere'), await careful('Yonder')];
  const here = await talk(await mira.session('here'));
  const badge = here.getByTestId('waits-badge');
  assert.equal(await badge.isVisible(), false);
  const there = await talk(one.session);
  await say(there, make('From afar', 'Made.'));
  await badge.waitFor();
  assert.match(await badge.getAttribute('aria-label'), /1 question waits for your word in “Elsewhere”/);
  assert.equal(await here.locator(`[data-session-id="${one.session}"]`).getByTestId('session-waits').innerText(), '1 waits for you');
  await until(() => here.locator('#announcer').innerText(), (told) => /In Elsewhere: .*make an artifact: From afar/.test(told), 'it is announced');
  assert.equal(await ask(here).count(), 0, 'it is asked where it belongs');

  const yonder = await talk(two.session);
  await say(yonder, make('From further', 'Made.'));
  await until(() => badge.innerText(), (text) => /2/.test(text), 'both are counted');
  await badge.focus();
  await here.keyboard.press('Enter');
  await here.getByTestId('waits-in').filter({ hasText: 'Yonder' }).click();
  await until(() => at(here), (where) => where === 'ask', 'the question has the keyboard');
  assert.match(await ask(here).innerText(), /From further/);
  await until(() => badge.innerText(), (text) => /1/.test(text), 'the other still waits');
  await ask(here).getByTestId('approve').click();
  await finished(here);

  // One is left: straight there. Answered there, it is gone here too.
  await ask(there).getByTestId('deny').click();
  await until(() => badge.isVisible(), (visible) => !visible, 'nothing waits any more');
  await finished(there);
  assert.deepEqual([await artifacts(one.project), await artifacts(two.project)], [[], ['From further']]);
});

test('what waited when she was ended can still be allowed', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: LOST_CONNECTION });
  const { project, session } = await careful('After a crash');
  const page = await talk(session);
  await say(page, make('Late', 'Made.'));
  await ask(page).waitFor();
  await mira.kill();
  await mira.revive();
  const bar = page.getByTestId('ask-bar');
  await bar.waitFor();
  await bar.getByTestId('approve').click();
  await until(() => artifacts(project), (names) => names.includes('Late'), 'it is done after all');
  await until(() => bar.isVisible(), (visible) => !visible, 'nothing waits any more');
});

test('what nobody answers expires, and says so ever after', async (t) => {
  const hasty = await startMira({ sim, env: { MIRA_APPROVAL_SECONDS: '5' } });
  const { talk } = await visit(browser, hasty, t, { expected: LOST_CONNECTION });
  t.after(() => hasty.stop());
  const { project, session } = await careful('Too late', hasty);
  const page = await talk(session);
  await say(page, make('Never', 'Another time.'));
  await ask(page).waitFor();
  await finished(page);
  await until(() => status(page), (value) => value === 'expired', 'it has expired');
  assert.equal(await ask(page).count(), 0);
  await page.reload();
  await ready(page);
  await until(() => status(page), (value) => value === 'expired', 'and stays so');
  assert.match(await lastReply(page).getByTestId('tool-status').innerText(), /expired/);

  // Its turn is over: nobody but the clock tells.
  await say(page, make('Not this either', 'Well.'));
  await ask(page).waitFor();
  await hasty.kill();
  await hasty.revive();
  const late = page.getByTestId('ask-expired');
  await late.waitFor();
  assert.match(await late.innerText(), /Expired[^]*make an artifact: Not this either\. Nobody answered in time/);
  await late.getByTestId('ask-dismiss').click();
  await until(() => page.getByTestId('ask-bar').isVisible(), (visible) => !visible, 'it is put away');
  assert.deepEqual((await hasty.api('GET', `api/projects/${project}/artifacts`)).artifacts, []);
});

test('everything she would do can be read before it is allowed', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { session } = await careful('Long');
  const page = await talk(session);
  const words = Array.from({ length: 8_000 }, (_, n) => `word${n}`).join(' ');
  await say(page, askTool('create_artifact', { name: 'Long', type: 'note', language: null, content: words }, 'Made.'));
  await until(() => ask(page).getByTestId('ask-arguments').innerText().catch(() => ''), (text) => text.includes('word7999'), 'all of it is shown');
  await ask(page).getByTestId('approve').click();
  await finished(page);
});
