// What she may do only with the owner's word: asked on the call's card, answered anywhere, refused by default.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  LOST_CONNECTION, askTool, finished, lastReply, launchBrowser, ready, say, startMira, startSim, until, visit,
} from './support.mjs';

let sim;
let mira;
let browser;

before(async () => {
  sim = await startSim();
  [mira, browser] = await Promise.all([startMira({ sim }), launchBrowser()]);
});
after(async () => {
  await browser?.close();
  await mira?.stop();
  await sim?.stop();
});

// A project that asks before anything is changed.
async function careful(name) {
  const { project, session } = await mira.project(name);
  await mira.api('PATCH', `api/projects/${project}`, { approvals: 'writes' });
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
  await ask(page).waitFor();
  const words = await ask(page).innerText();
  assert.match(words, /May she make an artifact: A careful note\?/);
  assert.match(words, /asks before anything is changed/);
  assert.match(words, /"content": "A line\."/);
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

test('another conversation that waits is told of, and answered from here', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project, session } = await careful('Elsewhere');
  const there = await talk(session);
  await say(there, make('From afar', 'Made.'));
  await ask(there).waitFor();
  const here = await talk(await mira.session('here'));
  const bar = here.getByTestId('ask-bar');
  await bar.waitFor();
  assert.match(await bar.innerText(), /Elsewhere[^]*From afar/);
  await bar.getByTestId('approve').click();
  await until(() => bar.isVisible(), (visible) => !visible, 'it is answered');
  await finished(there);
  assert.deepEqual(await artifacts(project), ['From afar']);
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
