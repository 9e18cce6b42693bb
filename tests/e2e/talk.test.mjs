// A conversation: it streams, it is the same in every tab, and no reload, closed tab or second thought
// loses or doubles a word.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, composer, finished, grewInto, house, lastReply, plain, ready, replies, said, say, textOf, until, untilMore, untilShown, visit, words } from './support.mjs';

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

  // She can be asked to go on, once and in the owner's name.
  await one.getByTestId('continue').click();
  for (const page of [one, two]) {
    await until(() => replies(page).count(), (count) => count === 2, 'she goes on');
    await finished(page);
    assert.match(await said(page).last().innerText(), /go on where you stopped/);
    assert.equal(await said(page).count(), 2);
    assert.equal(await page.getByTestId('continue').count(), 0, 'what is past is not gone on with');
  }
});

test('an older reply can be given anew, and the way back stays', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const session = await mira.session('older');
  for (const name of ['one', 'two', 'three']) await mira.api('POST', 'api/chat', { session_id: session, content: ask(`answer ${name}`) });
  const [page, other] = [await talk(session), await talk(session)];
  const shown = (where) => replies(where).locator('.her-prose').allInnerTexts();
  await untilShown(page, 'answer three');
  const old = await replies(page).first().getAttribute('data-message-id');
  await replies(page).first().hover();
  await replies(page).first().getByTestId('regenerate').click();
  await page.getByTestId('notice').getByText('What came after is kept').waitFor();
  for (const tab of [page, other]) {
    await until(() => replies(tab).evaluateAll((all) => all.map((reply) => reply.dataset.messageId).join()), (ids) => ids !== old && !ids.includes(','), 'the new reply is the last word');
    assert.equal(await finished(tab), 'answer one');
    await until(() => lastReply(tab).getByTestId('branch-position').innerText(), (text) => text === '2/2', 'it is a branch');
  }
  await lastReply(page).getByTestId('branch-prev').click();
  for (const tab of [page, other]) await until(() => shown(tab), (texts) => texts.map(plain).join() === 'answer one,answer two,answer three', 'the old branch is whole');
});

const FORMULAS = String.raw`Mass is \(E = mc^2\), tea costs $5 or $6, f(x) is f(x) and \(x\) is \(x\).

\[
\frac{a_1}{b_1} \le \sqrt{x_1 * y} * 2
\]

- In a list: $$\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}$$

Code is code: ${'`'}\(x\)${'`'}. What is not known stays: \(\nobodyknows{x}\). `.concat(words(600));

test('formulas are set, as they come and ever after', async (t) => {
  const { talk } = await visit(browser, mira, t);
  t.after(() => sim.release());
  const page = await talk(await mira.session('formulas'));
  sim.hold(40);
  await say(page, ask(FORMULAS));
  await until(() => {
    sim.more(5);
    return page.getByTestId('formula').count();
  }, (count) => count === 5, 'they are set before the end');
  assert.equal(await lastReply(page).getAttribute('data-status'), 'live');
  sim.release();
  const check = async () => {
    await finished(page);
    const set = await lastReply(page).getByTestId('formula').evaluateAll((all) => all.map((one) => [one.className, one.querySelector('semantics').firstElementChild.textContent]));
    assert.deepEqual(set, [['formula', 'E=mc2'], ['formula', 'x'], ['formula', 'x'], ['formula display', 'a1b1≤x1∗y∗2'], ['formula display', '(1001)']]);
    assert.equal(await lastReply(page).locator('math[display="block"] mtr').count(), 2);
    assert.match(await textOf(lastReply(page)), /tea costs \$5 or \$6, f\(x\) is f\(x\) and .*Code is code: \\\(x\\\)\. What is not known stays: \(\\nobodyknows\{x\}\)\./);
  };
  await check();
  await page.reload();
  await check();
});

test('LaTeX becomes MathML, or stays what it is', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const page = await talk(await mira.session('LaTeX'));
  const set = (formulas) => page.evaluate(async (all) => {
    const { mathNode } = await import('/js/math.js');
    const short = (node) => (node.childElementCount === 0 ? node.textContent || `<${node.localName}>` : `${node.localName}(${[...node.children].map(short).join(' ')})`);
    return all.map((formula) => {
      const node = mathNode(formula, true);
      return node && short(node.querySelector('semantics').firstElementChild);
    });
  }, formulas);
  const cases = Object.entries({
    'x_i^2 + \\alpha\'': 'mrow(msubsup(x i 2) + msup(α ′))',
    '\\frac12 - \\dfrac{a}{b}': 'mrow(mfrac(1 2) − mstyle(mfrac(a b)))',
    '\\sqrt[3]{x+1}': 'mroot(mrow(x + 1) 3)',
    '\\sum_{i=1}^n i': 'mrow(munderover(∑ mrow(i = 1) n) i)',
    '\\int_0^\\infty e^{-x}\\,dx': 'mrow(msubsup(∫ 0 ∞) msup(e mrow(− x)) <mspace> d x)',
    '\\lim_{x \\to 0} \\sin x': 'mrow(munder(lim mrow(x → 0)) sin x)',
    '\\left( a \\rightarrow b \\right]': 'mrow(( a → b ])',
    '\\begin{bmatrix} a & b \\\\ c & d \\end{bmatrix}': 'mrow([ mtable(mtr(mtd(a) mtd(b)) mtr(mtd(c) mtd(d))) ])',
    '\\begin{cases} 1 & \\text{if } x \\\\ 0 \\end{cases}': 'mrow({ mtable(mtr(mtd(1) mtd(if\u00a0 x)) mtr(mtd(0))))',
    '\\mathbb{R} \\mathcal L \\mathrm{d}': 'mrow(ℝ ℒ d)',
    '\\hat{x} \\binom{n}{k}': 'mrow(mover(x ^) mrow(( mfrac(n k) )))',
  });
  assert.deepEqual(await set(cases.map(([formula]) => formula)), cases.map(([, wanted]) => wanted));
  const odd = ['\\nobodyknows', '\\constructor', '\\frac{a}', '{a', 'a}', 'a & b', 'x^', '\\left( a', '\\begin{matrix} a', '', '{'.repeat(100), '\\text{<b>}'];
  assert.deepEqual(await set(odd), [...odd.slice(0, -1).map(() => null), '<b>']);
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
  await ready(page);
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
