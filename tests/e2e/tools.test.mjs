// What she does with tools is seen: a card for each call, while she is at it and ever after, with a way to
// what came of it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fits } from './comfort.mjs';
import { STILL_BOX, ask, askTool, finished, house, lastReply, ready, say, startMira, tell, textOf, until, visit } from './support.mjs';

const { sim, mira, rehearsing, browser } = await house({ model: true, rehearsal: true });

const cards = (where, tool) => where.locator(`[data-testid="tool-card"]${tool ? `[data-tool="${tool}"]` : ''}`);

// It is drawn after the browser has told that it is open.
async function unfold(card) {
  await card.getByTestId('tool-fold').click();
  const body = card.getByTestId('tool-body');
  await body.locator(':scope > *').first().waitFor();
  return body;
}

test('what she keeps and looks up stands on cards, and a forgotten memory leaves them', async (t) => {
  const { talk } = await visit(browser, rehearsing, t, { expected: [/status of 404/] });
  const page = await talk(await rehearsing.session('tools of her own'));
  await tell(page, 'Remember that I play the cello.');
  const kept = cards(lastReply(page), 'remember');
  await kept.first().waitFor();
  await until(() => kept.first().getByTestId('tool-status').innerText(), (text) => text === 'done', 'what it says');
  await until(() => kept.first().getByTestId('tool-effect').innerText(), (text) => text === 'changes things', 'what it says');
  const body = await unfold(kept.first());
  await body.getByTestId('tool-memory').filter({ hasText: /cello/i }).waitFor();

  await tell(page, 'What do you know about the cello?');
  const looked = cards(lastReply(page), 'recall').first();
  await looked.waitFor();
  await until(() => looked.innerText(), (text) => /only looks/.test(text), 'what it says');
  await (await unfold(looked)).getByTestId('tool-memory').filter({ hasText: /cello/i }).first().waitFor();

  // The history has the same cards.
  await page.reload();
  await ready(page);
  const first = cards(page, 'remember').first();
  await first.waitFor();
  await until(() => first.getByTestId('tool-status').innerText(), (text) => text === 'done', 'what it says');
  const memory = (await unfold(first)).getByTestId('tool-memory').first();
  await until(() => memory.innerText(), (text) => /cello/i.test(text), 'its words are read');

  const id = await memory.getAttribute('data-memory-id');
  await rehearsing.api('DELETE', `api/memories/${id}`);
  await until(() => memory.innerText(), (text) => /Forgotten/.test(text) && !/cello/i.test(text), 'its words are gone');
  await page.reload();
  await ready(page);
  const gone = await unfold(cards(page, 'remember').first());
  await until(() => gone.innerText(), (text) => !/cello/i.test(text), 'and stay so');
});

test('an artifact she makes is one click away, and seen in every tab', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: STILL_BOX });
  const { session } = await mira.project('Her artifacts');
  const [one, two] = [await talk(session), await talk(session)];
  await two.keyboard.press('Alt+a');
  await two.getByTestId('artifact-list-empty').waitFor();
  assert.equal(await tell(one, askTool('create_artifact', { name: 'Plan for spring', type: 'markdown', language: null, content: '# Spring\n\n- dig\n- sow\n' }, 'There it is.')), 'There it is.');
  const card = cards(lastReply(one), 'create_artifact');
  await until(() => card.getByTestId('tool-status').innerText(), (text) => text === 'done', 'what it says');
  assert.match(await (await unfold(card)).innerText(), /Plan for spring[^]*# Spring/);
  await two.getByTestId('artifact').filter({ hasText: 'Plan for spring' }).waitFor();

  await card.getByTestId('tool-open-artifact').click();
  await one.getByTestId('artifact-title').filter({ hasText: 'Plan for spring' }).waitFor();
  await one.frameLocator('[data-testid="artifact-preview"]').locator('h1').filter({ hasText: 'Spring' }).waitFor();

  const { artifact_id: id } = (await mira.api('GET', `api/chat/history?session_id=${session}`)).messages.at(-1).tool_calls[0].data;
  assert.equal(await tell(one, askTool('edit_artifact', { artifact: id, edits: [{ old: '- sow\n', new: '- sow\n- water\n' }], content: null }, 'Watered.')), 'Watered.');
  await until(() => one.getByTestId('artifact-meta').innerText(), (text) => text.includes('version 2'), 'the open one follows');
  await one.getByTestId('artifact-tab-versions').click();
  const versions = one.getByTestId('version');
  await until(() => versions.count(), (count) => count === 2, 'both versions are listed');
  await until(() => versions.first().innerText(), (text) => /by Mira/.test(text), 'what it says');
  await versions.first().getByTestId('version-message').click();
  await one.locator('.entry.found').filter({ hasText: 'Watered.' }).waitFor();

  // The edit is a difference, not raw JSON.
  const edit = await unfold(cards(lastReply(one), 'edit_artifact'));
  await until(() => edit.locator('.diff-add').last().innerText(), (text) => /water/.test(text), 'what it says');
});

test('a call that comes to nothing says so in words', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { session } = await mira.project('No such tool');
  const page = await talk(session);
  await tell(page, askTool('weather_of_tomorrow', { city: 'Graz' }, 'I cannot.'));
  const card = cards(lastReply(page), 'weather_of_tomorrow');
  await until(() => card.getAttribute('data-status'), (status) => status !== 'working' && status !== 'ok', 'it did not work');
  await until(() => card.innerText(), (text) => /weather of tomorrow/i.test(text), 'what it says');
  assert.match(await (await unfold(card)).innerText(), /"city": "Graz"/);
  assert.match(await textOf(lastReply(page)), /I cannot/);
  await page.reload();
  await ready(page);
  await cards(page, 'weather_of_tomorrow').waitFor();
});

// The provider draws; it falls silent before the picture is whole.
test('a picture can be looked at while it is drawn', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('drawn'));
  await say(page, ask('There it is.', 'draw="a cup" stall=7'));
  const sketch = page.getByTestId('tool-sketch');
  await until(() => sketch.evaluate((image) => image.complete && image.naturalWidth), (width) => width > 0, 'the sketch is there');
  await page.getByTestId('stop').click();
  await until(() => sketch.count(), (count) => count === 0, 'it goes with its call');
});

// Where the provider runs no code itself, the box does.
test('how code ended stands on its card', async (t) => {
  const boxed = await startMira({ sim, env: { MIRA_LLM_API: 'chat' } });
  const { talk } = await visit(browser, boxed, t); // leaves before she ends
  t.after(() => boxed.stop());
  await until(async () => (await boxed.api('GET', 'api/tools')).tools.find((tool) => tool.name === 'code_interpreter').available, Boolean, 'the box is proven');
  const page = await talk(await boxed.session('code'));
  async function run(code, output) {
    await tell(page, askTool('code_interpreter', { code, files: null }, output));
    const card = cards(lastReply(page), 'code_interpreter');
    await card.waitFor();
    return card;
  }
  const ended = async (card, status, words) => {
    assert.equal(await card.getAttribute('data-status'), status);
    const body = await unfold(card);
    await body.getByTestId('tool-code').waitFor();
    assert.equal(await body.getByTestId('tool-ended').count(), words ? 1 : 0);
    if (words) assert.equal(await body.getByTestId('tool-ended').innerText(), words);
    return body;
  };
  // While it takes long it is told what she does, and for how long.
  await say(page, askTool('code_interpreter', { code: 'import time\ntime.sleep(7)', files: null }, 'That took a while.'));
  const slow = cards(lastReply(page), 'code_interpreter').getByTestId('tool-status');
  await until(() => slow.innerText(), (text) => /^at work, \d+ s$/.test(text), 'the time it takes');
  assert.equal(await lastReply(page).getByTestId('status').innerText(), 'runs code…');
  await finished(page);
  assert.equal(await slow.innerText(), 'done');
  const well = await ended(await run('print(6 * 7)', 'Forty-two.'), 'ok', null);
  assert.equal((await well.getByTestId('tool-stdout').locator('pre').innerText()).trim(), '42');
  const badly = await ended(await run('import sys\nprint("so far")\nsys.exit(3)', 'It broke.'), 'failed', 'It ended with 3.');
  assert.equal((await badly.getByTestId('tool-stdout').locator('pre').innerText()).trim(), 'so far');
  const thrown = await ended(await run('1 / 0', 'It broke again.'), 'failed', 'It ended with 1.');
  assert.match(await thrown.getByTestId('tool-stderr').locator('pre').innerText(), /ZeroDivisionError/);
  const talkative = await ended(await run('while True:\n    print("x" * 1000)', 'Too much.'), 'failed', 'It was stopped: it printed too much.');
  assert.match(await talkative.getByTestId('tool-stdout').textContent(), /x{1000}/);

  // The history tells the same.
  await page.reload();
  await ready(page);
  const again = cards(lastReply(page), 'code_interpreter');
  await again.waitFor();
  await ended(again, 'failed', 'It was stopped: it printed too much.');
});

const WEATHER = `
const tools = [{ name: 'tomorrow', description: 'Will it rain? <b>Ask me.</b>', inputSchema: { type: 'object', properties: {} } }];
const answers = { initialize: (p) => ({ protocolVersion: p.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'weather', version: '1' } }), 'tools/list': () => ({ tools }), ping: () => ({}) };
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method](params) }));
});`;

test('her tools are told in words for people, those of a server in its own', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'mira-e2e-mcp-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const config = join(home, 'mcp.json');
  writeFileSync(config, JSON.stringify({ mcpServers: { weather: { command: process.execPath, args: ['-e', WEATHER] }, broken: { command: join(home, 'nothing-here') } } }));
  const connected = await startMira({ env: { MIRA_MCP_CONFIG: config } });
  const { talk } = await visit(browser, connected, t); // leaves before she ends
  t.after(() => connected.stop());
  const all = async () => (await connected.api('GET', 'api/tools')).tools;
  const settled = (list) => !list.some((tool) => /in a moment/.test(tool.reason));
  const known = (list) => list.some((tool) => tool.name === 'mcp__weather__tomorrow') && list.some((tool) => tool.name.startsWith('mcp__broken') && !tool.available);
  const tools = await until(all, (list) => settled(list) && known(list), 'both servers are known');
  const page = await talk(await connected.session('abilities'));
  await page.getByTestId('open-abilities').click();
  const row = (name) => page.locator(`[data-testid="ability"][data-tool="${name}"]`);
  await row('recall').waitFor();
  for (const tool of tools) {
    const words = await row(tool.name).innerText();
    const own = !tool.name.startsWith('mcp__');
    const quoted = tool.name === 'mcp__weather__tomorrow';
    assert.equal(tool.description !== '' && words.includes(tool.description.slice(0, 20)), quoted, words);
    assert.equal(await row(tool.name).locator('.work-meta').count(), own || quoted ? 1 : 0, words);
    if (!tool.available) assert.ok(words.includes(tool.reason), words);
  }
  const quote = row('mcp__weather__tomorrow').getByTestId('ability-quote');
  assert.match(await quote.innerText(), /Will it rain\? <b>Ask me\.<\/b> says weather/);
  assert.equal(await page.getByTestId('ability-quote').count(), 1, 'her own are not quoted');
});

for (const colorScheme of ['dark', 'light']) {
  test(`cards fit a narrow screen in ${colorScheme}`, async (t) => {
    const { talk } = await visit(browser, mira, t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const { session } = await mira.project(`Narrow ${colorScheme}`);
    const page = await talk(session);
    await tell(page, askTool('create_artifact', { name: `A plan with ${'a long name '.repeat(6)}`, type: 'code', language: 'rust', content: `fn main() { ${'let unbreakable = 1; '.repeat(20)} }\n` }, 'Done.'));
    await unfold(cards(lastReply(page)).first());
    await fits(page, 'a card');
  });
}
