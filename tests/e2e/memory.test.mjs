// What she remembers: it is seen as it is learnt, it says why it came up, and it can be corrected, pinned,
// paused, kept off the record and forgotten. In rehearsal, with no key and no other server, and once with both.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fits } from './comfort.mjs';
import {
  LOST_CONNECTION, ask, at, composer, house, lastReply, ready, replies, said, say, startMira, startQdrant, startSim, tell, textOf, until, visit,
} from './support.mjs';

const { mira, browser } = await house();

const FIVE = [
  ['I live in Graz.', /Graz/, 'The owner lives in Graz.', 'home town'],
  ['I work as a nurse.', /nurse/, 'The owner works as a nurse.', 'job'],
  ['My sister is called Anna.', /Anna/, "The owner's sister is called Anna.", 'sister'],
  ["I'm allergic to walnuts.", /walnuts/, 'The owner is allergic to walnuts.', 'allergy'],
  ['I play the cello.', /cello/, 'The owner plays the cello.', 'hobby'],
];

const panel = (page) => page.getByTestId('memory-panel');
const cards = (page) => panel(page).getByTestId('memory');
const card = (page, text) => cards(page).filter({ hasText: text });
const receipt = (page) => page.getByTestId('receipt');
const facts = async (server = mira) => (await server.api('GET', 'api/memories?kind=fact&limit=200')).memories;

async function openMemory(page) {
  await page.getByTestId('memory-button').click();
  await panel(page).waitFor();
}

// Everything said so far can be found.
const filed = (server = mira) => until(() => server.api('GET', 'api/memory'), ({ index }) => index.pending === 0, 'the indexer catches up');

async function tabTo(page, testid, most = 60) {
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press('Tab');
    if ((await at(page)) === testid) return;
  }
  assert.fail(`${testid} is not reached by Tab`);
}

test('five things told are learnt, come up after a restart, and say why', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: LOST_CONNECTION });
  const told = await mira.session('Getting acquainted');
  const page = await talk(told);
  await openMemory(page);
  await page.getByTestId('memory-empty').waitFor();
  for (const [words, fact] of FIVE) {
    await tell(page, words);
    await card(page, fact).waitFor();
  }
  assert.equal(await cards(page).count(), FIVE.length);
  await filed();
  await mira.kill();
  await mira.revive();
  await ready(page);

  const later = await mira.session('A week later');
  const asking = await talk(later);
  await tell(asking, 'What instrument do I play?');
  const chips = lastReply(asking).getByTestId('recalled-chip');
  await chips.first().waitFor();
  assert.match(await lastReply(asking).getByTestId('recalled-count').innerText(), /remembered (one thing|\d+ things)/);
  assert.match(await textOf(lastReply(asking)), /cello/);

  const messageId = await lastReply(asking).getAttribute('data-message-id');
  const stored = await mira.api('GET', `api/messages/${messageId}/receipt`);
  const shown = await chips.evaluateAll((all) => all.map((chip) => chip.dataset.memoryId));
  assert.deepEqual(shown, stored.used.map((item) => item.memory_id).slice(0, shown.length), 'the chips and the receipt agree');

  const cello = stored.used.find((item) => item.kind === 'fact' && /cello/.test(item.text));
  assert.ok(cello, 'the fact was used');
  await lastReply(asking).getByTestId('recalled-count').click();
  const used = receipt(asking).getByTestId('receipt-used').getByTestId('memory');
  await until(() => used.count(), (count) => count === stored.used.length, 'the receipt shows all that was used');
  const line = receipt(asking).locator(`[data-memory-id="${cello.memory_id}"]`).first();
  assert.ok((await line.innerText()).toLowerCase().includes(cello.reason.toLowerCase()), 'with the reason');
  await receipt(asking).getByTestId('receipt-numbers').locator('summary').click();
  assert.ok((await receipt(asking).getByTestId('receipt-numbers').innerText()).includes(stored.prompt_hash));

  // One step to the message it came from, in its own conversation.
  await line.getByTestId('memory-source').click();
  await until(() => asking.url(), (url) => url.includes(told), 'its conversation opens');
  await asking.locator('.entry.found').filter({ hasText: 'I play the cello.' }).waitFor();

  // Loaded anew, the reply has its chips and still tells why.
  await asking.goto(`${mira.url}/#/s/${later}`);
  await asking.reload();
  await ready(asking);
  await until(() => chips.evaluateAll((all) => all.map((chip) => chip.dataset.memoryId).join()), (ids) => ids === shown.join(), 'the chips are the same');
  await lastReply(asking).getByTestId('why').click();
  await receipt(asking).locator(`[data-memory-id="${cello.memory_id}"]`).first().waitFor();
  await asking.keyboard.press('Escape');
  await until(() => at(asking), (where) => where === 'why', 'the focus returns');
});

test('chips of what is far back are read as it comes into sight, and not before', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 404/] });
  await mira.api('POST', 'api/memories', { text: 'Keeps bees on the roof.', pinned: true });
  const session = await mira.session('Far back');
  for (let turn = 1; turn <= 7; turn += 1) await mira.api('POST', 'api/chat', { session_id: session, content: `Good day number ${turn}. ${'And so on. '.repeat(90)}` });
  const page = await talk();
  const asked = new Set();
  page.on('request', (request) => /\/receipt$/.test(request.url()) && asked.add(request.url()));
  await page.goto(`${mira.url}/#/s/${session}`);
  await until(() => replies(page).count(), (count) => count === 7, 'all of it is loaded');
  await ready(page);
  const chip = (reply) => reply.getByTestId('recalled-chip').filter({ hasText: 'bees on the roof' });
  await chip(lastReply(page)).waitFor();
  assert.ok(asked.size < 7, `${asked.size} receipts at once`);
  assert.equal(await chip(replies(page).first()).count(), 0);
  await page.locator('main.thread').evaluate((el) => el.scrollTo(0, 0));
  await chip(replies(page).first()).waitFor();
  const [{ id }] = (await facts()).filter((memory) => /bees on the roof/.test(memory.text));
  await chip(replies(page).first()).click();
  await receipt(page).locator(`.asked[data-memory-id="${id}"]`).waitFor();
  await mira.api('DELETE', `api/memories/${id}`);
  await page.keyboard.press('Escape');
  await until(() => page.getByTestId('recalled-chip').filter({ hasText: 'bees on the roof' }).count(), (count) => count === 0, 'what is forgotten leaves them');
});

test('what was said is quoted in plain words', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('Plain words'));
  await tell(page, '## Fruit\n\nThe **ripest** figs are in `snake_case`, see [the list](https://example.org/a_b).');
  await filed();
  await openMemory(page);
  await page.getByTestId('memory-kind-message').click();
  const isPlain = (text) => /^Fruit\s+The ripest figs are in snake_case, see the list\.$/.test(text);
  await until(() => cards(page).locator('.memory-text').allInnerTexts(), (texts) => texts.some(isPlain), 'its markup is gone');
  const plain = await page.evaluate(async () => (await import('/js/plain.js')).plainText('> **a** *b* _c_ ~~d~~ 2 * 3 * 4 \\*\n\n```\n**code**\n```\n- [x] e `f_g_`\n***'));
  assert.equal(plain, 'a b c d 2 * 3 * 4 *\n\n**code**\ne f_g_');
});

// What was told moves back by a week, since a clock cannot be set: exported, its times changed, read into a new Mira.
const WEEK_MS = 7 * 24 * 3600 * 1000;
const weekAgo = (past) => past.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => new Date(Date.parse(at) - WEEK_MS).toISOString());

// With a model and Qdrant beside her, or nothing at all.
for (const beside of ['nothing', 'a model and Qdrant']) {
  test(`a week later, with ${beside} beside her: what came up and why, one corrected, one forgotten`, async (t) => {
    const sim = beside === 'nothing' ? null : await startSim();
    if (sim) t.after(() => sim.stop());
    let qdrant = null;
    async function start() {
      if (!sim) return startMira();
      const own = await startQdrant();
      t.after(() => own.stop());
      qdrant = own;
      return startMira({ sim, env: { QDRANT_URL: qdrant.url, MIRA_EMBEDDINGS: 'openai' } });
    }
    async function points() {
      const counted = await fetch(`${qdrant.url}/collections/mira-memory/points/count`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"exact":true}' });
      return (await counted.json()).result.count;
    }
    const before = await start();
    t.after(() => before.stop());
    for (const [content, , fact, topic] of FIVE) {
      await before.api('POST', 'api/chat', { content: sim ? `${content} ${ask('Good to know.', `remember="${fact}" topic="${topic}"`)}` : content });
    }
    await filed(before);
    const past = weekAgo(before.run('export', '-'));
    const day = new Date(Date.now() - WEEK_MS).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });

    const now = await start();
    const { talk } = await visit(browser, now, t, { expected: [/status of 404/] });
    t.after(() => now.stop());
    writeFileSync(join(now.home, 'past.jsonl'), past);
    now.run('import', 'past.jsonl');
    await filed(now);
    const page = await talk(await now.session('A week later'));
    await tell(page, 'What did I tell you a week ago?');
    await lastReply(page).getByTestId('recalled-count').click();
    const used = receipt(page).getByTestId('receipt-used');
    for (const [, name] of FIVE) await used.getByTestId('memory').filter({ hasText: name }).first().waitFor();
    assert.match(await used.getByTestId('memory').first().innerText(), new RegExp(`from ${day}`, 'i'));
    await page.keyboard.press('Escape');

    // Where she lives is put right, and of the walnuts nothing is to be left.
    await openMemory(page);
    await card(page, 'Graz').getByTestId('memory-correct').click();
    await panel(page).getByTestId('fact-text').fill('The owner lives in Vienna.');
    await panel(page).getByTestId('fact-save').click();
    await card(page, 'Vienna').waitFor();
    await card(page, 'walnuts').getByTestId('memory-forget').click();
    await page.getByTestId('confirm-also').check();
    await page.getByTestId('confirm-yes').click();
    await until(() => card(page, 'walnuts').count(), (count) => count === 0, 'the fact leaves the panel');
    await panel(page).getByTestId('memory-close').click();
    await filed(now);

    const again = await talk(await now.session('Once more'));
    await tell(again, 'In which town do I live?');
    await lastReply(again).getByTestId('recalled-chip').filter({ hasText: 'Vienna' }).waitFor();
    const left = (await facts(now)).filter((fact) => /walnut|Graz/.test(fact.text) && !fact.superseded_by);
    assert.deepEqual(left, [], 'neither is there');
    if (sim) assert.ok((await points()) >= 10, 'the vectors are in Qdrant');
  });
}

test('a fact is corrected and pinned, in every tab, and what it was stays under it', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('Corrections');
  const [one, two] = [await talk(session), await talk(session)];
  await Promise.all([openMemory(one), openMemory(two)]);
  await one.getByTestId('memory-add').click();
  await one.getByTestId('fact-text').fill('Drinks tea without milk.');
  await one.getByTestId('fact-topic').fill('tea');
  await one.getByTestId('fact-save').click();
  for (const tab of [one, two]) await card(tab, 'Drinks tea without milk.').waitFor();
  const id = await card(one, 'Drinks tea').getAttribute('data-memory-id');

  await card(one, 'Drinks tea').getByTestId('memory-correct').click();
  await panel(one).getByTestId('fact-text').fill('Drinks tea with a little milk.');
  await panel(one).getByTestId('fact-save').click();
  for (const tab of [one, two]) {
    await card(tab, 'Drinks tea with a little milk.').waitFor();
    await until(() => card(tab, 'without milk').count(), (count) => count === 0, 'the old words are gone');
  }
  assert.equal((await mira.api('GET', `api/memories/${id}`)).text, 'Drinks tea with a little milk.');

  await card(one, 'Drinks tea').getByTestId('memory-pin').click();
  for (const tab of [one, two]) await panel(tab).locator(`[data-memory-id="${id}"].pinned`).waitFor();
  await tell(one, 'Good morning to you.');
  await lastReply(one).locator(`[data-testid="recalled-chip"][data-memory-id="${id}"]`).waitFor();
  await card(one, 'Drinks tea').getByTestId('memory-pin').click();
  await until(() => mira.api('GET', `api/memories/${id}`), (memory) => !memory.pinned, 'it is no longer pinned');

  // Nothing written is lost when something else is learnt meanwhile.
  await card(two, 'Drinks tea').getByTestId('memory-correct').click();
  await panel(two).getByTestId('fact-text').fill('half a correction');
  await tell(one, 'I drive a red van.');
  await card(two, 'van').waitFor();
  assert.equal(await panel(two).getByTestId('fact-text').inputValue(), 'half a correction');
  await panel(two).getByTestId('fact-cancel').click();

  await tell(one, 'I drive a blue bicycle cart.');
  const now = card(one, 'blue bicycle cart');
  await now.waitFor();
  await now.getByTestId('memory-was').waitFor();
  assert.match(await now.getByTestId('memory-was').innerText(), /^was: .*red van/);
});

test('a fact and the message it was told in are forgotten in one go', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('In one go'));
  await tell(page, 'I collect wooden whistles.');
  await filed();
  await openMemory(page);
  await card(page, 'whistles').getByTestId('memory-forget').click();
  await page.getByTestId('confirm-also').check();
  await page.getByTestId('confirm-yes').click();
  await until(() => card(page, 'whistles').count(), (count) => count === 0, 'the fact leaves the panel');
  await until(() => said(page).first().innerText(), (text) => !text.includes('whistles') && text.includes('forgotten'), 'only its place stays');
  assert.ok((await facts()).every((memory) => !/whistles/.test(memory.text)));
});

test('what is forgotten is gone from the panel, the conversation, the chips, the search and the server', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 404/] });
  const session = await mira.session('Secrets');
  const [one, two] = [await talk(session), await talk(session)];
  await tell(one, 'I collect porcelain hedgehogs.');
  await filed();
  await openMemory(one);
  await card(one, 'porcelain').waitFor();
  const [fact] = (await facts()).filter((memory) => /porcelain/.test(memory.text));

  const asked = await mira.session('Secrets, later');
  const asking = await talk(asked);
  await tell(asking, 'Which hedgehogs do I collect?');
  const chip = lastReply(asking).locator(`[data-testid="recalled-chip"][data-memory-id="${fact.id}"]`);
  await chip.click();
  await receipt(asking).locator(`[data-memory-id="${fact.id}"]`).first().waitFor();

  // The fact first: thought better of, then meant.
  await card(one, 'porcelain').getByTestId('memory-forget').click();
  await one.locator('dialog.confirm').getByText('This cannot be undone.').waitFor();
  await one.getByTestId('confirm-no').click();
  assert.equal(await card(one, 'porcelain').count(), 1);
  await card(one, 'porcelain').getByTestId('memory-forget').click();
  await one.getByTestId('confirm-yes').click();
  await until(() => card(one, 'porcelain').count(), (count) => count === 0, 'the fact leaves the panel');
  await receipt(asking).getByText('Forgotten.').first().waitFor();
  await asking.keyboard.press('Escape');
  await until(() => chip.count(), (count) => count === 0, 'its chip goes');
  assert.ok((await facts()).every((memory) => memory.id !== fact.id));

  // Then the message it was told in, right where it stands, and whatever repeats it.
  const forget = async (page, message) => {
    await message.hover();
    await message.getByTestId('forget').click();
    await page.getByTestId('confirm-yes').click();
    await page.getByText('Forgotten.').waitFor();
  };
  await forget(one, said(one).filter({ hasText: 'porcelain' }));
  for (const tab of [one, two]) {
    await until(() => said(tab).first().innerText(), (text) => !text.includes('porcelain') && text.includes('forgotten'), 'only its place stays');
  }
  await two.reload();
  await ready(two);
  assert.match(await said(two).first().innerText(), /forgotten/);
  const { messages } = await mira.api('GET', `api/chat/history?session_id=${session}`);
  assert.equal(messages[0].status, 'forgotten');
  assert.equal(messages[0].content, '');
  const left = (page) => page.locator('.entry:not(:has(.forgotten))').filter({ hasText: 'porcelain' });
  for (const page of [one, asking]) {
    for (let count = await left(page).count(); count > 0; count = await left(page).count()) {
      await forget(page, left(page).first());
      await until(() => left(page).count(), (now) => now < count, 'it leaves the page');
    }
  }
  await one.keyboard.press('Control+k');
  await one.getByTestId('search-field').fill('porcelain');
  await until(() => one.locator('.search').innerText(), (text) => /Nothing found/.test(text), 'the search does not know it');
  await one.keyboard.press('Escape');
  await one.getByTestId('memory-kind-all').click();
  await one.getByTestId('memory-search').fill('porcelain');
  await until(() => one.getByTestId('memory-empty').innerText(), (text) => /Nothing she remembers/.test(text), 'nor does the panel');
});

test('off the record nothing is learnt and nothing comes up; read only nothing is learnt', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 404/] });
  const page = await talk(await mira.session('Between us'));
  const known = (await facts()).length;
  await page.locator('.session.current').hover();
  await page.locator('.session.current').getByTestId('session-menu').click();
  await page.getByTestId('session-memory-off').click();
  await page.getByTestId('record-badge').getByText('off the record').waitFor();
  assert.match(await composer(page).getAttribute('placeholder'), /off the record/);
  await page.locator('.session.current .session-off').waitFor();

  const before = (await mira.api('GET', 'api/memory')).counts;
  await tell(page, 'I sing in a shanty choir.');
  await tell(page, 'What instrument do I play?');
  assert.equal(await page.getByTestId('recalled').filter({ visible: true }).count(), 0);
  assert.equal((await facts()).length, known);
  assert.deepEqual((await mira.api('GET', 'api/memory')).counts, before);
  await lastReply(page).getByTestId('why').click();
  await until(() => page.getByTestId('receipt-lead').innerText(), (text) => /off the record/.test(text), 'there is no receipt');
  await page.keyboard.press('Escape');

  // The badge is the way to change it.
  await page.getByTestId('record-badge').click();
  await page.locator('.segment-row label', { hasText: 'Read only' }).click();
  await page.getByTestId('record-badge').getByText('remembers nothing new').waitFor();
  await tell(page, 'I enjoy knitting. And what instrument do I play?');
  await lastReply(page).getByTestId('recalled-chip').first().waitFor();
  assert.equal((await facts()).length, known);
  assert.deepEqual((await mira.api('GET', 'api/memory')).counts, before);

  await page.locator('.segment-row label', { hasText: /^On$/ }).click();
  await page.getByTestId('record-badge').waitFor({ state: 'hidden' });
  await tell(page, 'I enjoy knitting.');
  await card(page, 'knitting').waitFor();
});

test('paused she learns nothing, anywhere, until she is told to go on', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('A pause'));
  await openMemory(page);
  const known = (await facts()).length;
  const pause = page.getByTestId('memory-pause');
  await until(() => pause.getAttribute('aria-checked'), (on) => on === 'true', 'she remembers at first');
  await pause.click();
  await page.getByTestId('record-badge').getByText('memory paused').waitFor();
  await tell(page, 'I speak Portuguese.');
  assert.equal((await facts()).length, known);
  await page.reload();
  await ready(page);
  await page.getByTestId('record-badge').getByText('memory paused').waitFor();
  await page.getByTestId('record-badge').click();
  await pause.click();
  await page.getByTestId('record-badge').waitFor({ state: 'hidden' });
  await tell(page, 'I speak Norwegian.');
  await card(page, 'Norwegian').waitFor();
  assert.equal(await card(page, 'Portuguese').count(), 0);
});

test('all of it by keyboard', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('Keys'));
  await tell(page, 'I adopted a three-legged tortoise.');
  await filed();
  await composer(page).focus();
  await page.keyboard.press('Alt+m');
  await until(() => at(page), (where) => where === 'memory-close', 'the panel takes the focus');
  await tabTo(page, 'memory-search');
  await Promise.all([page.waitForResponse((response) => /[?&]q=tortoise(&|$)/.test(response.url())), page.keyboard.type('tortoise')]);
  await until(() => cards(page).count(), (count) => count === 1, 'one is found');
  await tabTo(page, 'memory-correct');
  await page.keyboard.press('Enter');
  await until(() => at(page), (where) => where === 'fact-text', 'the field takes the focus');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('Has a tortoise with three legs.');
  await page.keyboard.press('Enter');
  await card(page, 'Has a tortoise with three legs.').waitFor();
  await until(() => at(page), (where) => where === 'memory-correct', 'the focus returns');
  await tabTo(page, 'memory-forget');
  await page.keyboard.press('Enter');
  await until(() => at(page), (where) => where === 'confirm-no', 'the question takes the focus, on its harmless answer');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await until(() => cards(page).count(), (count) => count === 0, 'it is forgotten');
  await until(() => at(page), (where) => where === 'memory-search', 'the focus is not lost');
  await page.keyboard.press('Escape');
  await until(() => page.getByTestId('memory-search').inputValue(), (value) => value === '', 'Escape empties the field first');
  await page.keyboard.press('Escape');
  await panel(page).waitFor({ state: 'hidden' });
  await until(() => at(page), (where) => where === 'composer', 'the focus is back where it was');

  await lastReply(page).getByTestId('why').focus();
  await page.keyboard.press('Enter');
  await receipt(page).waitFor();
  for (let step = 0; step < 25; step += 1) {
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))), 'the focus stays inside');
  }
  await page.keyboard.press('Escape');
  await until(() => at(page), (where) => where === 'why', 'and returns');
});

test('a script in a memory stays text', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('Scripts'));
  const text = 'Keeps <img src=x onerror=alert(1)><script>alert(2)</script> as a souvenir.';
  const { id } = await mira.api('POST', 'api/memories', { text, topic: '<b>souvenirs</b>', about: '<i>Anna</i>', pinned: true });
  t.after(() => mira.api('DELETE', `api/memories/${id}`));
  await openMemory(page);
  await panel(page).getByText(text).waitFor();
  await tell(page, 'Good morning to you.');
  await lastReply(page).getByTestId('recalled-chip').filter({ hasText: '<script>' }).click();
  await receipt(page).getByText(text).first().waitFor();
  await receipt(page).getByText('about <i>Anna</i>').waitFor();
  assert.equal(await page.locator('.memory img, .memory script, .memory b, .memory i, .recalled img').count(), 0);
});

for (const colorScheme of ['dark', 'light']) {
  test(`on a narrow screen in ${colorScheme} memory fits and covers`, async (t) => {
    const { talk } = await visit(browser, mira, t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const page = await talk(await mira.session(`Small ${colorScheme}`));
    await mira.api('POST', 'api/memories', { text: `Was once told about the ${'unbreakable'.repeat(12)} of ${colorScheme} telephones.`, topic: 'telephones' });
    await filed();
    await tell(page, `What was I told about ${colorScheme} telephones?`);
    await lastReply(page).getByTestId('recalled-chip').first().waitFor();
    await fits(page, 'chips');
    await lastReply(page).getByTestId('recalled-count').tap();
    await receipt(page).getByTestId('receipt-used').waitFor();
    await receipt(page).getByTestId('receipt-numbers').locator('summary').tap();
    await fits(page, 'the receipt');
    await receipt(page).getByTestId('receipt-close').tap();
    await page.getByTestId('memory-button').tap();
    await card(page, `${colorScheme} telephones`).waitFor();
    await fits(page, 'the panel');
    assert.equal(await panel(page).evaluate((el) => el.getBoundingClientRect().width), 360);
    assert.equal(await page.locator('.stage').evaluate((el) => el.inert), true, 'what it covers is out of reach');
    await card(page, `${colorScheme} telephones`).getByTestId('memory-correct').tap();
    await fits(page, 'a correction');
    await panel(page).getByTestId('fact-cancel').tap();
    await page.locator('.segment-row label', { hasText: 'Off the record' }).tap();
    await page.getByTestId('memory-close').tap();
    await page.getByTestId('record-badge').waitFor();
    await fits(page, 'off the record');
  });
}

test('what is not at hand is said quietly, and nothing fails', async (t) => {
  // An embedder that nobody answers for.
  const lame = await startMira({ env: { MIRA_EMBEDDINGS: 'openai', MIRA_EMBEDDINGS_URL: 'http://127.0.0.1:9/v1', MIRA_EMBEDDINGS_KEY: 'none' } });
  const { talk } = await visit(browser, lame, t);
  t.after(() => lame.stop()); // After the pages, which would tell that she is gone.
  const page = await talk(await lame.session('Half a memory'));
  await tell(page, 'I live in Trondheim.');
  const again = await talk(await lame.session('The other half'));
  await tell(again, 'Where do I live?');
  await lastReply(again).getByTestId('degraded').waitFor();
  await until(() => lastReply(again).getByTestId('recalled-chip').count(), (count) => count > 0, 'words are still found');
  await lastReply(again).getByTestId('why').click();
  await receipt(again).getByTestId('receipt-degraded').waitFor();
  await again.keyboard.press('Escape');
  await openMemory(again);
  await until(() => again.getByTestId('memory-health').getAttribute('data-status'), (status) => status !== 'ok', 'the panel says it too');
});
