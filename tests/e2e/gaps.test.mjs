// What happens while a page has no connection is told to it by nobody. Once it is back it catches up, and whoever reads
// keeps their place.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TOKEN, composer, finished, house, ready, said, until, visit } from './support.mjs';

const { rehearsing: mira, browser } = await house({ rehearsal: true });

// A connection that can be cut: then nothing comes through until it is mended.
async function cuttable(context) {
  const open = new Set();
  let away = false;
  await context.routeWebSocket(/\/ws\/chat/, (socket) => {
    if (away) {
      socket.close({ code: 1001 });
      return;
    }
    socket.connectToServer();
    open.add(socket);
  });
  return {
    async cut(page) {
      away = true;
      for (const socket of open) await socket.close({ code: 1001 });
      open.clear();
      await until(() => page.locator('.top').getAttribute('data-link'), (link) => link !== 'online', 'the page notices');
    },
    async mend(page) {
      away = false;
      await ready(page);
    },
  };
}

// What the page asks the server for.
function asked(page) {
  const paths = [];
  page.on('request', (request) => paths.push(`${request.method()} ${new URL(request.url()).pathname.slice(1)}`));
  return paths;
}

async function give(files) {
  const form = new FormData();
  for (const [name, words] of files) form.append('file', new Blob([words]), name);
  const response = await fetch(`${mira.url}/api/files`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` }, body: form });
  assert.equal(response.status, 201);
}

// Where the bytes of a file lie, found by what they are.
function onDisk(bytes) {
  const all = readdirSync(join(mira.home, 'data', 'files'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const found = all.map((entry) => join(entry.parentPath, entry.name)).find((path) => readFileSync(path).equals(bytes));
  assert.ok(found, 'the file lies in the data directory');
  return found;
}

test('what became of a file while nobody could tell stands on its chip, and only what may have changed is asked for', async (t) => {
  const { context, talk } = await visit(browser, mira, t);
  const line = await cuttable(context);
  const page = await talk(await mira.session('reading'));
  const damaged = Buffer.from('%PDF-1.7\nthe rest of this letter was lost\n');
  await composer(page).fill('Two papers.');
  await page.getByTestId('file-picker').setInputFiles([
    { name: 'whole.txt', mimeType: 'text/plain', buffer: Buffer.from('All of it is here.') },
    { name: 'torn.pdf', mimeType: 'application/pdf', buffer: damaged },
  ]);
  await until(() => page.locator('[data-testid="attached-file"][data-state="there"]').count(), (count) => count === 2, 'they arrived');
  await composer(page).press('Enter');
  await finished(page);
  const chip = (name) => said(page).last().getByTestId('file-chip').filter({ hasText: name });
  await until(() => chip('torn.pdf').innerText(), (words) => /not read: /.test(words), 'it could not be read');
  await until(() => chip('whole.txt').getAttribute('data-status'), (status) => status === 'ready', 'the other one was');
  const { files } = await mira.api('GET', 'api/files');
  const torn = `api/files/${files.find((file) => file.name === 'torn.pdf').id}`;

  // Its bytes are not there for the moment, so that it waits to be read.
  const path = onDisk(damaged);
  rmSync(path);
  await mira.api('POST', `${torn}/retry`);
  await until(() => chip('torn.pdf').innerText(), (words) => /not read yet, she tries again/.test(words), 'it waits');
  await line.cut(page);
  writeFileSync(path, 'The letter after all.\n');
  await mira.api('POST', `${torn}/retry`);
  await until(async () => (await mira.api('GET', torn)).status, (status) => status === 'ready', 'it is read');
  assert.match(await chip('torn.pdf').innerText(), /she tries again/);

  const paths = asked(page);
  await line.mend(page);
  await until(() => chip('torn.pdf').getAttribute('data-status'), (status) => status === 'ready', 'the chip knows');
  assert.doesNotMatch(await chip('torn.pdf').innerText(), /tries again|not read/);
  assert.deepEqual(paths.filter((one) => /api\/files/.test(one)), [`GET ${torn}`]);
});

test('the files keep their pages, the reader and the keyboard, and a closed panel asks for nothing', async (t) => {
  const { context, talk } = await visit(browser, mira, t);
  const line = await cuttable(context);
  const page = await talk(await mira.session('many files'));
  for (let n = 0; n < 80; n += 20) await give(Array.from({ length: 20 }, (_, k) => [`paper ${n + k}.txt`, `number ${n + k}`]));
  await page.getByTestId('open-files').click();
  const panel = page.getByTestId('files-panel');
  const rows = panel.getByTestId('file');
  await until(() => rows.count(), (count) => count >= 50, 'a page of them');
  await panel.getByTestId('file-list-more').focus();
  await page.keyboard.press('Enter');
  const all = await until(() => rows.count(), (count) => count > 80, 'the next page');
  assert.equal(await rows.nth(50).evaluate((row) => row === document.activeElement), true, 'the keyboard goes on with the first of them');
  const [read, gone] = [rows.filter({ hasText: 'paper 9.txt' }), rows.filter({ hasText: 'paper 5.txt' })];
  await read.focus();
  const top = async () => (await read.boundingBox()).y;
  const before = await top();

  await line.cut(page);
  await mira.api('DELETE', `api/files/${await panel.locator('.file-line').filter({ hasText: 'paper 5.txt' }).getAttribute('data-file-id')}`);
  await give([['brand new.txt', 'not there before']]);
  await line.mend(page);
  await until(() => rows.first().innerText(), (words) => /brand new/.test(words), 'what is new is there');
  assert.equal(await gone.count(), 0, 'what is gone is not');
  assert.equal(await rows.count(), all, 'and all pages are');
  assert.equal(await read.evaluate((row) => row === document.activeElement), true, 'the keyboard stays');
  assert.ok(Math.abs((await top()) - before) < 2, `what is read moved from ${before} to ${await top()}`);

  await page.keyboard.press('Escape');
  await line.cut(page);
  const paths = asked(page);
  await line.mend(page);
  await until(() => paths, (all) => all.includes('GET api/memory'), 'it has caught up');
  assert.deepEqual(paths.filter((one) => one === 'GET api/files'), []);
  await page.getByTestId('open-files').click();
  await until(() => paths, (all) => all.includes('GET api/files'), 'it is read when it is looked at');
});

test('memories, projects and artifacts keep their pages', async (t) => {
  const { context, talk } = await visit(browser, mira, t);
  const line = await cuttable(context);
  const { project, session } = await mira.project('Gaps');
  for (let n = 0; n < 60; n += 1) {
    await mira.api('POST', 'api/memories', { text: `Keepsake number ${n} is made of ${['glass', 'tin', 'clay'][n % 3]}.`, topic: `keepsake ${n}` });
    await mira.api('POST', 'api/projects', { name: `Shelf ${n}` });
    await mira.api('POST', 'api/artifacts', { project_id: project, name: `Note ${n}`, type: 'note', content: String(n) });
  }
  const page = await talk(session);
  const lists = [
    ['memory-button', 'memory-panel', 'memory', 'memory-more', () => mira.api('POST', 'api/memories', { text: 'The newest keepsake is a shell.' })],
    ['projects-button', 'projects-panel', 'project', 'project-list-more', () => mira.api('POST', 'api/projects', { name: 'The newest shelf' })],
    ['artifacts-button', 'artifacts-panel', 'artifact', 'artifact-list-more', () => mira.api('POST', 'api/artifacts', { project_id: project, name: 'The newest note', type: 'note', content: 'new' })],
  ];
  for (const [button, panel, row, more, make] of lists) {
    await page.getByTestId(button).click();
    const rows = page.getByTestId(panel).getByTestId(row);
    await until(() => rows.count(), (count) => count === 50, `a page of ${row}`);
    await page.getByTestId(more).click();
    const all = await until(() => rows.count(), (count) => count >= 60, `all of ${row}`);
    await line.cut(page);
    await make();
    assert.equal(await rows.count(), all);
    await line.mend(page);
    await until(() => rows.count(), (count) => count === all + 1, `the newest ${row} as well`);
    assert.match(await rows.first().innerText(), /newest/);
  }
});

test('an artifact that is looked at is the newest one', async (t) => {
  const { context, talk } = await visit(browser, mira, t);
  const line = await cuttable(context);
  const { project, session } = await mira.project('Looked at');
  const { id } = await mira.api('POST', 'api/artifacts', { project_id: project, name: 'A list', type: 'note', content: 'eggs' });
  const page = await talk(session);
  await page.getByTestId('artifacts-button').click();
  await page.getByTestId('artifact').click();
  await until(() => page.getByTestId('artifact-source').innerText(), (words) => /eggs/.test(words), 'it is shown');
  await line.cut(page);
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'if-match': '*' };
  const changed = await fetch(`${mira.url}/api/artifacts/${id}`, { method: 'PUT', headers, body: JSON.stringify({ content: 'eggs, and milk' }) });
  assert.equal(changed.status, 200);
  await line.mend(page);
  await until(() => page.getByTestId('artifact-source').innerText(), (words) => /milk/.test(words), 'and as it is now');
});

test('the list of conversations keeps its pages and the keyboard', async (t) => {
  const { context, talk } = await visit(browser, mira, t);
  const line = await cuttable(context);
  const held = await mira.session('Held by the keyboard');
  for (let n = 0; n < 105; n += 1) await mira.session(`Talk ${n}`);
  const page = await talk(await mira.session('The one on screen'));
  const rows = page.getByTestId('session-item');
  await until(() => rows.count(), (count) => count === 100, 'a page of them');
  await page.getByTestId('more-sessions').click();
  const all = await until(() => rows.count(), (count) => count > 105, 'all of them');
  await page.locator(`[data-session-id="${held}"]`).focus();
  await line.cut(page);
  await mira.session('Begun elsewhere');
  await line.mend(page);
  await rows.filter({ hasText: 'Begun elsewhere' }).waitFor();
  assert.equal(await rows.count(), all + 1);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.sessionId), held);
});
