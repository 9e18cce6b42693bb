// Files: chosen, dropped and pasted, with their progress and trouble; what becomes of them in messages, in the
// panel and in the reader; and where she has an answer from.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { fits } from './comfort.mjs';
import { askTool, at, composer, finished, house, lastReply, ready, said, say, tell, textOf, until, visit } from './support.mjs';

const { mira, rehearsing, browser } = await house({ model: true, rehearsal: true, env: () => ({ MIRA_LLM_API: 'chat' }) });

// A picture of one colour, as a PNG.
function png(red, green, blue, side = 64) {
  const crcs = Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
  });
  const crc = (bytes) => (bytes.reduce((c, byte) => crcs[(c ^ byte) & 255] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.concat(Array.from({ length: side }, () => Buffer.from([red, green, blue])))]);
  const rows = Buffer.concat(Array.from({ length: side }, () => row));
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

const text = (name, words) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(words) });
const picture = (name, ...colour) => ({ name, mimeType: 'image/png', buffer: png(...colour) });
const attached = (page) => page.getByTestId('attached-file');
const choose = (page, files) => page.getByTestId('file-picker').setInputFiles(files);
const arrived = (page, count) => until(() => page.locator('[data-testid="attached-file"][data-state="there"]').count(), (there) => there === count, 'the files have arrived');

// Drops or pastes files made in the page.
const transfer = (page, selector, kind, files) => page.evaluate(async ([where, event, list]) => {
  const data = new DataTransfer();
  for (const { name, type, base64 } of list) data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
  const target = document.querySelector(where);
  const sent = event === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true });
  target.dispatchEvent(sent);
}, [selector, kind, files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, base64: buffer.toString('base64') }))]);

test('an edit keeps its files, or takes others along', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const session = await rehearsing.session('edited');
  const page = await talk(session);
  await composer(page).fill('Look at these.');
  await choose(page, [text('one.txt', 'One.'), text('two.txt', 'Two.')]);
  await arrived(page, 2);
  await composer(page).press('Enter');
  await finished(page);
  const own = said(page).last();
  const names = async () => (await rehearsing.api('GET', `api/chat/history?session_id=${session}`)).messages[0].files.map((file) => file.name);
  // Edits the message as `change` says; answers the files the new one has.
  async function edited(words, change = async () => {}) {
    await own.hover();
    await own.getByTestId('edit').click();
    await own.getByTestId('edit-field').fill(words);
    await change(own);
    await own.getByTestId('edit-save').click();
    await until(() => own.locator('.own-prose').innerText().catch(() => ''), (shown) => shown === words, 'the new version is there');
    await finished(page);
    return names();
  }
  assert.deepEqual(await edited('As they are.'), ['one.txt', 'two.txt']);
  const others = await edited('Another one.', async (editor) => {
    await editor.getByRole('button', { name: 'Take out one.txt' }).click();
    await editor.getByTestId('file-picker').setInputFiles([text('three.txt', 'Three.')]);
  });
  assert.deepEqual(others, ['two.txt', 'three.txt']);
  assert.deepEqual(await own.getByTestId('file-chip').locator('.file-name').allInnerTexts(), ['two.txt', 'three.txt']);
  const none = await edited('None.', async (editor) => {
    for (const name of ['two.txt', 'three.txt']) await editor.getByRole('button', { name: `Take out ${name}` }).click();
  });
  assert.deepEqual(none, []);
  // What was put into an edit that was given up goes nowhere.
  await own.hover();
  await own.getByTestId('edit').click();
  await own.getByTestId('file-picker').setInputFiles([text('four.txt', 'Four.')]);
  await own.locator('[data-testid="attached-file"][data-state="there"]').waitFor();
  await own.getByTestId('edit-cancel').click();
  assert.equal(await attached(page).count(), 0);
  await own.getByTestId('edit').click();
  assert.equal(await attached(page).count(), 0);
});

test('files are chosen, survive a reload, go with the message and open large', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk(await rehearsing.session('chosen'));
  await composer(page).fill('Look at these.');
  await choose(page, [text('notes.txt', 'The key lies under the blue pot.'), picture('red.png', 200, 30, 30), picture('green.png', 30, 160, 60)]);
  await arrived(page, 3);
  assert.match(await attached(page).first().innerText(), /notes\.txt[^]*text · 32 B/);
  // The same again is no other file.
  await choose(page, [text('notes.txt', 'The key lies under the blue pot.')]);
  await until(() => attached(page).count(), (count) => count === 3, 'the same file is one file');

  await page.reload();
  await ready(page);
  await arrived(page, 3);
  await page.getByTestId('attached-file').filter({ hasText: 'green.png' }).getByTestId('attached-remove').click();
  await until(() => attached(page).count(), (count) => count === 2, 'one is taken out');
  await choose(page, [picture('blue.png', 30, 60, 180)]);
  await arrived(page, 3);
  await composer(page).press('Enter');
  await finished(page);
  await until(() => attached(page).count(), (count) => count === 0, 'they went with the message');
  const message = said(page).last();
  assert.match(await message.getByTestId('file-chip').innerText(), /notes\.txt/);
  assert.equal(await message.getByTestId('thumb').count(), 2);

  // The history has them too.
  await page.reload();
  await ready(page);
  const thumbs = said(page).last().getByTestId('thumb');
  await until(() => thumbs.count(), (count) => count === 2, 'the pictures are there');
  assert.equal(await attached(page).count(), 0);
  await until(() => thumbs.first().locator('img').evaluate((img) => img.naturalWidth), (width) => width === 64, 'the picture is read');

  await thumbs.first().focus();
  await page.keyboard.press('Enter');
  const box = page.getByTestId('lightbox');
  await box.waitFor();
  assert.match(await box.innerText(), /red\.png[^]*1 of 2/);
  await page.keyboard.press('ArrowRight');
  assert.match(await box.innerText(), /blue\.png[^]*2 of 2/);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.ok(await page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest('.lightbox'))), 'the focus stays in it');
  await page.keyboard.press('Escape');
  await until(() => box.count(), (count) => count === 0, 'it closes');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'thumb');
});

test('files are dropped and pasted', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk(await rehearsing.session('dropped'));
  const dropped = [text('one.txt', 'one'), text('two.txt', 'two')];
  await transfer(page, '.thread', 'dragenter', dropped);
  await page.getByTestId('drop-overlay').waitFor();
  await transfer(page, '.thread', 'drop', dropped);
  await arrived(page, 2);
  assert.equal(await page.getByTestId('drop-overlay').isVisible(), false);
  await transfer(page, '#composer', 'paste', [picture('image.png', 90, 20, 120)]);
  await arrived(page, 3);
  assert.match(await attached(page).last().innerText(), /Pasted .*\.png/);
  await composer(page).press('Enter');
  assert.match(await page.getByTestId('notice').innerText(), /Say a word/);
  assert.equal(await said(page).count(), 0);
});

test('a message waits for its uploads, and a broken one can be tried again', async (t) => {
  const { talk } = await visit(browser, rehearsing, t, { expected: [/ERR_FAILED/] });
  const page = await talk(await rehearsing.session('waiting'));
  let open;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  let broken = 1;
  await page.route('**/api/files', async (route) => {
    if (route.request().method() !== 'POST') {
      await route.continue();
    } else if (broken > 0) {
      broken -= 1;
      await route.abort();
    } else {
      await gate;
      await route.continue();
    }
  });
  await choose(page, [text('slow.txt', 'it takes its time')]);
  await page.locator('[data-testid="attached-file"][data-state="failed"]').waitFor();
  await say(page, 'Here it is.');
  assert.match(await page.getByTestId('notice').innerText(), /did not arrive/);
  await page.getByTestId('attached-retry').click();
  await page.locator('[data-testid="attached-file"][data-state="sending"]').waitFor();
  await composer(page).press('Enter');
  await until(() => page.getByTestId('typing').innerText(), (words) => /when the files have arrived/.test(words), 'it waits');
  assert.equal(await said(page).count(), 0);
  open();
  await until(() => said(page).count(), (count) => count === 1, 'it goes');
  assert.match(await said(page).first().getByTestId('file-chip').innerText(), /slow\.txt/);
  await finished(page);
});

test('the panel lists, reads and deletes files', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk(await rehearsing.session('panel'));
  await page.getByTestId('open-files').click();
  const panel = page.getByTestId('files-panel');
  await panel.getByTestId('files-picker').setInputFiles([text('garden.md', '# Garden\n\nThe beans need poles in May.\n')]);
  const row = panel.getByTestId('file').filter({ hasText: 'garden.md' });
  await row.waitFor();
  await until(() => row.innerText(), (words) => !/still reading/.test(words), 'it was read');
  await row.click();
  await until(() => panel.getByTestId('document-text').innerText(), (words) => /beans need poles/.test(words), 'its text is shown');
  assert.match(await panel.getByTestId('document-download').getAttribute('href'), /\/api\/files\/[^/]+\/content$/);
  await panel.getByTestId('file-back').click();
  await panel.getByRole('button', { name: 'Delete garden.md' }).click();
  await page.getByTestId('confirm-yes').click();
  await until(() => row.count(), (count) => count === 0, 'it is gone');
});

// Where the bytes of a file lie, found by what they are.
function onDisk(server, bytes) {
  const all = readdirSync(join(server.home, 'data', 'files'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const found = all.map((entry) => join(entry.parentPath, entry.name)).find((path) => readFileSync(path).equals(bytes));
  assert.ok(found, 'the file lies in the data directory');
  return found;
}

test('a file that could not be read says why, and can be read again', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk(await rehearsing.session('damaged'));
  await page.getByTestId('open-files').click();
  const panel = page.getByTestId('files-panel');
  const damaged = Buffer.from('%PDF-1.7\nthe rest of this paper was lost\n');
  await panel.getByTestId('files-picker').setInputFiles([{ name: 'letter.pdf', mimeType: 'application/pdf', buffer: damaged }]);
  const line = panel.locator('.file-line').filter({ hasText: 'letter.pdf' });
  const again = line.getByRole('button', { name: 'Read letter.pdf again' });
  await until(() => line.innerText().catch(() => ''), (words) => /not read: \S/.test(words), 'it says why');
  const path = `api/files/${await line.getAttribute('data-file-id')}`;
  const why = (await rehearsing.api('GET', path)).error;
  assert.ok((await line.innerText()).includes(why.replace(/[.\s]+$/, '')), why);

  // As long as nothing has changed, it ends the same way; whether `still reading` is seen meanwhile is a matter of speed.
  const [asked] = await Promise.all([page.waitForResponse((response) => response.url().endsWith(`${path}/retry`)), again.click()]);
  assert.equal((await asked.json()).status, 'processing');
  await until(() => rehearsing.api('GET', path), (file) => file.status === 'failed', 'it was read once more');
  await until(() => line.innerText(), (words) => /not read: \S/.test(words), 'it says so');
  await again.waitFor();
  await page.reload(); // from here on no event of that reading is on its way
  await ready(page);
  await page.getByTestId('open-files').click();
  await again.waitFor();

  writeFileSync(onDisk(rehearsing, damaged), 'The spare key lies under the third stone.\n');
  await again.focus();
  await page.keyboard.press('Enter');
  await until(() => line.innerText(), (words) => !/not read|still reading/.test(words), 'now it is read');
  assert.equal(await again.count(), 0, 'there is nothing to try again');
  await until(() => at(page), (where) => where === 'file', 'the keyboard stays in its line');
  assert.equal((await rehearsing.api('GET', path)).status, 'ready');
  await line.getByTestId('file').click();
  await until(() => panel.getByTestId('document-text').innerText(), (words) => /under the third stone/.test(words), 'its text is shown');
});

test('a searched file is cited, and the chip leads to its page', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project, session } = await mira.project('Sources');
  const page = await talk(session);
  const words = Buffer.from(`# Apiary\n\nThe queen bee of hive\nseven is marked with a yellow dot.\n\n${'The lime trees are next to flower. '.repeat(20)}\n`);
  await choose(page, [{ name: 'bees.md', mimeType: 'text/markdown', buffer: words }]);
  await arrived(page, 1);
  await until(async () => (await mira.api('GET', `api/projects/${project}/files`)).files[0]?.status, (status) => status === 'ready', 'it was read');
  // What is escaped, code, or a number nobody gave out is no place; a semicolon parts numbers too.
  await tell(page, askTool('file_search', { query: 'yellow dot of the queen bee', others: ['how the queen is marked', ' '] }, '🐝 She wears a yellow dot [1]. An array is a[0], this is \\[1], and code `b[1]`. So twice [1; 77].'));
  const reply = lastReply(page);
  const card = reply.locator('[data-testid="tool-card"][data-tool="file_search"]');
  await card.getByTestId('tool-fold').click();
  assert.match(await card.getByTestId('tool-result').first().innerText(), /bees\.md[^]*yellow dot/);
  assert.match(await card.innerText(), /And for\s+how the queen is marked/);
  const chip = reply.getByTestId('cite');
  await until(() => chip.count(), (count) => count === 2, 'the places are chips');
  assert.match(await textOf(reply), /yellow dot 1 ?\. An array is a\[0\], this is \[1\], and code b\[1\]\. So twice 1 ?\[77\]\./);
  await chip.first().click();
  const source = page.getByTestId('source-card');
  assert.match(await source.innerText(), /bees\.md/);
  await page.keyboard.press('Escape');
  assert.equal(await source.count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'cite');

  // The history has the same.
  await page.reload();
  await ready(page);
  await until(() => lastReply(page).getByTestId('cite').count(), (count) => count === 2, 'the chips are there again');
  await lastReply(page).getByTestId('source').first().click();
  await page.getByTestId('source-open').click();
  await until(() => page.getByTestId('document-text').innerText(), (shown) => /yellow dot/.test(shown), 'the place is shown');
  const passage = page.getByTestId('document-passage');
  await until(() => passage.innerText(), (words) => /queen bee of hive\s+seven is marked with a yellow dot/.test(words), 'it is marked');
  await until(() => passage.evaluate((el) => {
    const box = el.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  }), Boolean, 'and on screen');
  const found = await page.evaluate(async () => {
    const { findPassage } = await import('/js/passage.js');
    const text = 'One  two\nthree. Four five six seven eight nine ten.';
    const marked = (passage) => {
      const place = findPassage(text, passage);
      return place && text.slice(place.start, place.end);
    };
    return ['two three.', 'four', 'Four five six seven eight nine ELEVEN and more of it than there is', ' … '].map(marked);
  });
  assert.deepEqual(found, ['two\nthree.', null, 'Four five six seven eight nine', null]);
});

test('what she can do stands in a panel, with reasons', async (t) => {
  const { talk } = await visit(browser, rehearsing, t);
  const page = await talk(await rehearsing.session('abilities'));
  await page.getByTestId('open-abilities').click();
  const rows = page.getByTestId('ability');
  await rows.first().waitFor();
  const { tools } = await rehearsing.api('GET', 'api/tools');
  await until(() => rows.count(), (count) => count === tools.length, 'every tool is listed');
  for (const tool of tools.filter((one) => !one.available)) {
    const row = page.locator(`[data-testid="ability"][data-tool="${tool.name}"]`);
    assert.ok((await row.getByTestId('ability-reason').innerText()).includes(tool.reason));
  }
});

for (const colorScheme of ['dark', 'light']) {
  test(`files fit a narrow screen in ${colorScheme}, and fingers`, async (t) => {
    const { talk } = await visit(browser, rehearsing, t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const page = await talk(await rehearsing.session(`narrow ${colorScheme}`));
    assert.match(await page.getByTestId('file-picker').getAttribute('accept'), /image/);
    await choose(page, [text(`${'a very long name '.repeat(8)}.txt`, `long ${colorScheme}`), picture('wide.png', 10, 90, 90, 700)]);
    await arrived(page, 2);
    await fits(page, 'files on their way');
    await say(page, 'Both of them.');
    await finished(page);
    await fits(page, 'files in a message');
  });
}
