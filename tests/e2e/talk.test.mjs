// A conversation: it streams, it is the same in every tab, and no reload, closed tab or second thought
// loses or doubles a word.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ask, composer, finished, grewInto, house, lastReply, plain, replies, said, say, textOf, until, untilMore, untilShown, visit, words,
} from './support.mjs';

const { sim, mira, rehearsing, browser } = await house({ model: true, rehearsal: true });

test('the first conversation, in rehearsal', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk();
  await page.getByText('Mira is here.').waitFor();
  await page.getByTestId('rehearsal').waitFor();
  await say(page, 'Good morning! What would you do with a free day?');
  await page.getByTestId('stop').waitFor();
  const text = await finished(page);
  await grewInto(page, text, { least: 5 });
  assert.match(text, /rehearsal/);
  assert.match(text, /free day/);
  assert.match(await lastReply(page).locator('.model').innerText(), /rehearsal/);
  const { messages } = await rehearsing.api('GET', 'api/chat/history');
  const reply = messages.at(-1);
  assert.equal(await page.getByTestId('mood').innerText(), reply.mood);
  assert.equal(await page.getByTestId('mood-cause').innerText(), reply.mood_cause);
  const { title } = await rehearsing.api('GET', `api/personas/${reply.persona}`);
  assert.ok((await page.getByTestId('persona-button').innerText()).includes(title));
  assert.equal(await page.getByTestId('stop').isVisible(), false);
  assert.equal(await said(page).count(), 1);
});

test('two tabs see the same words come, and the same words stay', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('two tabs');
  const [one, two] = [await talk(session), await talk(session)];
  const whole = words(150);
  sim.hold(30);
  await say(one, ask(whole, 'persona=hallow mood=tender'));
  await Promise.all([untilShown(one, 'w1 '), untilShown(two, 'w1 ')]);
  for (let step = 0; step < 4; step += 1) {
    await untilMore(sim, one);
    await until(async () => [await textOf(lastReply(one)), await textOf(lastReply(two))], ([a, b]) => a === b, 'the second tab falls behind');
  }
  assert.equal(await lastReply(two).getAttribute('data-status'), 'live');
  sim.release();
  assert.deepEqual(await Promise.all([finished(one), finished(two)]), [whole, whole]);
  for (const page of [one, two]) {
    await grewInto(page, whole, { least: 4 });
    assert.equal(await said(page).count(), 1);
    assert.equal(await page.getByTestId('mood').innerText(), 'tender');
  }
});

test('a reload in mid-stream joins without a gap and without a double', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('reload');
  const [steady, reloaded] = [await talk(session), await talk(session)];
  const whole = words(150);
  sim.hold(40);
  await say(reloaded, ask(whole));
  await untilShown(reloaded, 'w1 ');
  for (let step = 0; step < 3; step += 1) {
    await untilMore(sim, reloaded);
    sim.more(20); // on its way while the page loads
    await reloaded.reload();
    await untilShown(reloaded, 'w1 ');
  }
  await untilMore(sim, reloaded);
  assert.equal(await lastReply(reloaded).getAttribute('data-status'), 'live', 'it goes on after the reload');
  sim.release();
  assert.deepEqual(await Promise.all([finished(steady), finished(reloaded)]), [whole, whole]);
  await grewInto(reloaded, whole);
  assert.equal(await replies(reloaded).count(), 1);
  assert.equal(await said(reloaded).count(), 1);
});

test('closing the tab does not stop her', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('closed');
  const whole = words(60);
  const first = await talk(session);
  sim.hold(40);
  await say(first, ask(whole));
  await untilShown(first, 'w1 ');
  await first.close();
  sim.more(20);
  const back = await talk(session);
  await untilMore(sim, back);
  sim.release();
  assert.equal(await finished(back), whole);
  const { messages } = await mira.api('GET', `api/chat/history?session_id=${session}`);
  assert.deepEqual(messages.map((m) => m.status), ['complete', 'complete']);
});

test('stop keeps what she had said, in every tab', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('stop');
  const [one, two] = [await talk(session), await talk(session)];
  const whole = words(60);
  sim.hold(50);
  await say(one, ask(whole));
  await untilShown(one, 'w1 ');
  await two.getByTestId('stop').click();
  const kept = await finished(one, 'stopped');
  sim.release();
  assert.equal(await finished(two, 'stopped'), kept);
  assert.ok(whole.startsWith(kept) && kept.length < whole.length, kept);
  await one.getByText('You stopped her here.').waitFor();
  await one.reload();
  assert.equal(await finished(one, 'stopped'), kept);
});

test('regenerate, edit and the way back between branches', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('branches');
  const [page, other] = [await talk(session), await talk(session)];
  await say(page, ask('first answer'));
  assert.equal(await finished(page), 'first answer');
  const earlier = await lastReply(page).getAttribute('data-message-id');

  await page.getByTestId('regenerate').click();
  await until(() => lastReply(page).getAttribute('data-message-id'), (id) => id && id !== earlier, 'no other reply came');
  const position = (where) => where.getByTestId('branch-position').last().innerText();
  await until(() => position(page), (text) => text === '2/2', 'the versions are not counted');

  await said(page).last().hover();
  await page.getByTestId('edit').last().click();
  await page.getByTestId('edit-field').fill(ask('second answer'));
  await page.getByTestId('edit-save').click();
  for (const tab of [page, other]) {
    await untilShown(tab, 'second answer');
    assert.equal(await finished(tab), 'second answer');
    assert.equal(await said(tab).count(), 1);
    await until(() => said(tab).last().getByTestId('branch-position').innerText(), (text) => text === '2/2', 'the edit is no branch');
  }

  await said(page).last().getByTestId('branch-prev').click();
  for (const tab of [page, other]) {
    await untilShown(tab, 'first answer');
    await until(() => said(tab).last().getByTestId('branch-position').innerText(), (text) => text === '1/2', 'the other tab stays behind');
  }
  await page.reload();
  await untilShown(page, 'first answer');
  await said(page).last().getByTestId('branch-next').click();
  await untilShown(page, 'second answer');
});

test('what is said while she answers waits its turn', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('queue');
  const [one, two] = [await talk(session), await talk(session)];
  const [a, b, c] = [words(60, 'a'), words(5, 'b'), words(5, 'c')];
  sim.hold(40);
  await say(one, ask(a));
  await untilShown(one, 'a1 ');
  await say(one, ask(b));
  await one.getByText('queued', { exact: true }).waitFor();
  await say(two, ask(c));
  await until(() => two.getByText('queued', { exact: true }).count(), (count) => count === 2, 'both wait');
  sim.release();
  const order = async (page) => {
    const all = await page.locator('[data-testid="message-user"], [data-testid="message-mira"]').all();
    return Promise.all(all.map(async (entry) => ((await entry.getAttribute('data-testid')) === 'message-user' ? 'owner' : textOf(entry))));
  };
  const wanted = ['owner', a, 'owner', b, 'owner', c];
  for (const page of [one, two]) {
    await until(() => order(page), (shown) => JSON.stringify(shown) === JSON.stringify(wanted), 'the order is not the one of asking');
    assert.equal(await page.getByText('queued', { exact: true }).count(), 0);
  }
  await one.reload();
  await until(() => order(one), (shown) => JSON.stringify(shown) === JSON.stringify(wanted), 'a reload shows another order');
});

test('markdown is set as it comes, and stays as it came', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('markdown'));
  const text = 'Look:\n\n| tea | minutes |\n|---|---|\n| oolong | 4 |\n\n```rust\nfn main() {}\n```\n\nThat *is* all. '.concat(words(40));
  sim.hold(70);
  await say(page, ask(text));
  await lastReply(page).locator('table').waitFor();
  assert.equal(await lastReply(page).getAttribute('data-status'), 'live', 'the table stands before the end');
  sim.release();
  await finished(page);
  const shown = await lastReply(page).locator('.her-prose').innerText();
  assert.equal(await lastReply(page).locator('pre code [class*="hl-"]').first().isVisible(), true);
  assert.equal(await lastReply(page).locator('em').innerText(), 'is');
  await page.reload();
  await finished(page);
  assert.equal(plain(await lastReply(page).locator('.her-prose').innerText()), plain(shown));
});

test('the keyboard is enough', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('keyboard');
  const page = await talk(session);
  const tabTo = async (testid) => {
    for (let step = 0; step < 60; step += 1) {
      if (await page.evaluate((id) => document.activeElement?.dataset.testid === id, testid)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`Tab never reaches ${testid}`);
  };
  await until(() => page.evaluate(() => document.activeElement?.id), (id) => id === 'composer', 'the message field has the focus');
  await page.keyboard.type(ask('from the keys'));
  await page.keyboard.press('Shift+Enter');
  assert.match(await composer(page).inputValue(), /\n$/);
  await page.keyboard.press('Enter');
  assert.equal(await finished(page), 'from the keys');
  assert.equal(await composer(page).inputValue(), '');

  await page.keyboard.press('ArrowUp');
  await page.getByTestId('edit-field').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.getByTestId('edit-field').count(), 0);

  await tabTo('persona-button');
  await page.keyboard.press('Enter');
  await page.getByTestId('panel').waitFor();
  await tabTo('persona-haven');
  await page.keyboard.press('Enter');
  await page.locator('[data-testid="persona-haven"][aria-checked="true"]').waitFor();
  await page.keyboard.press('Escape');
  await until(() => page.getByTestId('panel').isVisible(), (open) => !open, 'Escape closes the panel');

  await page.keyboard.press('Control+k');
  await page.keyboard.type('keys');
  await page.getByTestId('search-result').first().waitFor();
  await page.keyboard.press('Enter');
  await until(() => page.getByTestId('search-field').isVisible(), (open) => !open, 'a result closes the search');
  await tabTo('regenerate');
  await page.keyboard.press('Enter');
  await until(() => lastReply(page).getByTestId('branch-position').count(), (count) => count === 1, 'Enter asks again');
});
