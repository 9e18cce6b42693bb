// Projects and artifacts in the page: made, changed, compared, brought back and deleted, live in every tab,
// and nothing typed is ever lost.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fits } from './comfort.mjs';
import { STILL_BOX, at, house, ready, until, visit } from './support.mjs';

const { mira, browser } = await house();

const projects = (page) => page.getByTestId('projects-panel');
const project = (page, name) => projects(page).getByTestId('project').filter({ hasText: name });
const artifacts = (page) => page.getByTestId('artifacts-panel');

async function openArtifact(page, name) {
  if (!(await artifacts(page).isVisible())) await page.keyboard.press('Alt+a');
  await artifacts(page).getByTestId('artifact').filter({ hasText: name }).click();
  await until(() => page.getByTestId('artifact-title').innerText(), (text) => text === name, 'it opens');
}

test('a project is made, found, used, changed and deleted, in every tab', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 422/] });
  const session = await mira.session('About a garden');
  const [one, two] = [await talk(session), await talk(session)];
  for (const page of [one, two]) {
    await page.keyboard.press('Alt+p');
    await projects(page).waitFor();
  }
  await one.getByTestId('project-add').click();
  await one.getByTestId('project-name').fill('   ');
  await one.getByTestId('project-description').fill('Beds and paths');
  await one.getByTestId('project-form-save').click();
  await until(() => one.getByTestId('project-form-problem').innerText(), (text) => /name/i.test(text), 'the problem is told where it is');
  assert.equal(await one.getByTestId('project-description').inputValue(), 'Beds and paths', 'nothing typed is lost');
  await one.getByTestId('project-name').fill('The garden');
  await one.getByTestId('project-tags').fill('Green, 2027, green');
  await one.getByTestId('project-instructions').fill('Metric, please.');
  await one.getByTestId('project-form-save').click();
  for (const page of [one, two]) await project(page, 'The garden').waitFor();
  const id = await project(one, 'The garden').getAttribute('data-project-id');
  assert.deepEqual((await mira.api('GET', `api/projects/${id}`)).tags, ['green', '2027']);

  await project(one, 'The garden').getByTestId('project-use').click();
  for (const page of [one, two]) await until(() => page.getByTestId('session-project').innerText(), (text) => text === 'The garden', 'the header names it');
  assert.equal((await mira.api('GET', `api/sessions/${session}`)).project_id, id);

  await project(two, 'The garden').getByTestId('project-edit').click();
  await until(() => two.getByTestId('project-instructions').inputValue(), (text) => text === 'Metric, please.', 'its instructions are there');
  await two.getByTestId('project-name').fill('The orchard');
  assert.equal(await two.getByTestId('project-approvals').isChecked(), false);
  await two.getByLabel('Ask me first').check();
  await two.getByTestId('project-form-save').click();
  await project(one, 'The orchard').getByTestId('project-asks').waitFor();
  assert.equal((await mira.api('GET', `api/projects/${id}`)).approvals, 'writes');
  for (const page of [one, two]) {
    await project(page, 'The orchard').waitFor();
    await until(() => page.getByTestId('session-project').innerText(), (text) => text === 'The orchard', 'the header follows');
  }

  await mira.api('POST', 'api/projects', { name: 'Something else' });
  await project(one, 'Something else').waitFor();
  await one.getByTestId('project-search').fill('orch');
  await until(() => projects(one).getByTestId('project').count(), (count) => count === 1, 'the search finds it');
  await one.getByTestId('project-search').fill('" zebra *');
  await one.getByTestId('project-list-empty').waitFor();
  await one.getByTestId('project-search').fill('');
  await project(one, 'The orchard').waitFor();

  // Deleting says what goes, and what stays does stay.
  await mira.api('POST', 'api/artifacts', { project_id: id, name: 'A list', type: 'note', content: 'apples' });
  await project(one, 'The orchard').getByTestId('project-delete').click();
  await until(() => one.locator('#confirm-text').innerText(), (text) => /1 artifact/.test(text) && /1 conversation/.test(text), 'the counts are told');
  await one.getByTestId('confirm-no').click();
  await project(one, 'The orchard').waitFor();
  await project(one, 'The orchard').getByTestId('project-delete').click();
  await one.getByTestId('confirm-yes').click();
  for (const page of [one, two]) {
    await until(() => project(page, 'The orchard').count(), (count) => count === 0, 'it is gone');
    await until(() => page.getByTestId('session-project').innerText(), (text) => text === '', 'the conversation is free');
  }
  assert.equal((await mira.api('GET', `api/sessions/${session}`)).project_id, null);
});

test('an artifact is made, drawn, edited, compared, restored, renamed, downloaded and deleted', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: STILL_BOX });
  const { session } = await mira.project('Writing');
  const [one, two] = [await talk(session), await talk(session)];
  await one.keyboard.press('Alt+a');
  await two.keyboard.press('Alt+a');
  await one.getByTestId('artifact-add').click();
  await one.getByTestId('artifact-name').fill('Plan');
  await one.getByTestId('artifact-content').fill('# Plan\n\n- one\n');
  await one.getByTestId('artifact-form-save').click();
  await one.frameLocator('[data-testid="artifact-preview"]').locator('h1').filter({ hasText: 'Plan' }).waitFor();
  await openArtifact(two, 'Plan');

  await one.getByTestId('artifact-edit').click();
  await one.getByTestId('artifact-field').fill('# Plan\n\n- one\n- two\n');
  await one.getByTestId('artifact-editor-save').click();
  for (const page of [one, two]) await until(() => page.getByTestId('artifact-meta').innerText(), (text) => text.includes('version 2'), 'both tabs show version 2');
  await two.frameLocator('[data-testid="artifact-preview"]').locator('li').nth(1).waitFor();
  await two.getByTestId('artifact-tab-source').click();
  await until(() => two.getByTestId('artifact-source').innerText(), (text) => /- two/.test(text), 'what it says');

  await two.getByTestId('artifact-tab-versions').click();
  await until(() => two.getByTestId('version').count(), (count) => count === 2, 'two versions');
  await two.getByTestId('compare-show').click();
  await until(() => two.getByTestId('artifact-diff').locator('.diff-add').innerText(), (text) => text.includes('- two'), 'the difference');
  await two.locator('[data-testid="version"][data-version="1"]').getByTestId('version-look').click();
  await two.locator('[data-testid="version"][data-version="1"] .lines').waitFor();
  await two.locator('[data-testid="version"][data-version="1"]').getByTestId('version-restore').click();
  for (const page of [one, two]) await until(() => page.getByTestId('artifact-meta').innerText(), (text) => text.includes('version 3'), 'restored as version 3');
  await until(() => two.getByTestId('version').count(), (count) => count === 3, 'the list follows');

  await one.getByTestId('artifact-rename').click();
  await one.getByTestId('artifact-rename-field').fill('The better plan');
  await one.getByTestId('artifact-rename-form-save').click();
  for (const page of [one, two]) await until(() => page.getByTestId('artifact-title').innerText(), (text) => text === 'The better plan', 'its name follows');
  // A new name is no lost update.
  await two.getByTestId('artifact-edit').click();
  await two.getByTestId('artifact-field').fill('# Plan\n\nshort\n');
  await two.getByTestId('artifact-editor-save').click();
  await until(() => one.getByTestId('artifact-meta').innerText(), (text) => text.includes('version 4'), 'stored after the rename');

  const [download] = await Promise.all([one.waitForEvent('download'), one.getByTestId('artifact-download').click()]);
  assert.match(download.suggestedFilename(), /better plan/);
  assert.equal(readFileSync(await download.path(), 'utf8'), '# Plan\n\nshort\n');

  await one.getByTestId('artifact-delete').click();
  await one.getByTestId('confirm-yes').click();
  await one.getByTestId('artifact-list-empty').waitFor();
  await two.getByText('It was deleted.').first().waitFor();
});

test('who is slower sees both versions, and decides', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 412/] });
  const { project: id, session } = await mira.project('Conflict');
  await mira.api('POST', 'api/artifacts', { project_id: id, name: 'Shared', type: 'note', content: 'first' });
  const [one, two] = [await talk(session), await talk(session)];
  for (const page of [one, two]) await openArtifact(page, 'Shared');
  for (const page of [one, two]) await page.getByTestId('artifact-edit').click();
  await one.getByTestId('artifact-field').fill('from one');
  await two.getByTestId('artifact-field').fill('from two');
  await one.getByTestId('artifact-editor-save').click();
  await until(() => two.getByTestId('artifact-news').innerText(), (text) => /Version 2/.test(text), 'two is told');
  await two.getByTestId('artifact-editor-save').click();
  await two.getByTestId('conflict').waitFor();
  await until(() => two.getByTestId('conflict-theirs').innerText(), (text) => /from one/.test(text), 'what it says');
  await until(() => two.getByTestId('conflict-mine').innerText(), (text) => /from two/.test(text), 'what it says');
  const stored = async () => (await mira.api('GET', `api/projects/${id}/artifacts`)).artifacts[0];
  assert.equal((await stored()).version, 2, 'nothing is overwritten');

  // Not even by a reload: what was typed comes back.
  await two.reload();
  await ready(two);
  await openArtifact(two, 'Shared');
  await until(() => two.getByTestId('artifact-field').inputValue(), (text) => text === 'from two', 'the draft is back');
  await two.getByTestId('artifact-editor-save').click();
  await until(() => one.getByTestId('artifact-meta').innerText(), (text) => text.includes('version 3'), 'now it is stored');
  const { id: artifact } = await stored();
  assert.equal((await mira.api('GET', `api/artifacts/${artifact}`)).content, 'from two');
  assert.equal((await mira.api('GET', `api/artifacts/${artifact}/versions/2`)).content, 'from one');
});

test('a drawn page runs in a box that reaches nothing', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/sandbox|Content Security Policy|Refused|Blocked|SecurityError/i] });
  const { project: id, session } = await mira.project('Boxes');
  const content = `<h1 id="out">before</h1><script>
    const found = [];
    try { found.push('cookie ' + document.cookie); } catch { found.push('no cookie'); }
    try { found.push('parent ' + parent.document.title); } catch { found.push('no parent'); }
    try { top.location.href = '/health'; found.push('top'); } catch { found.push('no top'); }
    found.push(window.open('/health') ? 'popup' : 'no popup');
    for (const [tag, set] of [['a', { href: '/health', target: '_top' }], ['form', { action: '/health', target: '_top' }]]) {
      const el = Object.assign(document.createElement(tag), set);
      document.body.append(el);
      if (tag === 'a') el.click(); else el.submit();
    }
    fetch('/api/sessions').then((r) => found.push('api ' + r.status), () => found.push('no api')).then(() => { document.getElementById('out').textContent = found.join(', '); });
  </script>`;
  await mira.api('POST', 'api/artifacts', { project_id: id, name: 'A page', type: 'html', content });
  const page = await talk(session);
  await openArtifact(page, 'A page');
  const out = page.frameLocator('[data-testid="artifact-preview"]').locator('#out');
  await until(() => out.innerText(), (text) => text !== 'before', 'its script runs');
  await until(() => out.innerText(), (text) => text === 'no cookie, no parent, no top, no popup, no api', 'what it says');
  // Whatever it tried, the page it is framed by is where it was.
  assert.equal(new URL(page.url()).pathname, '/');
  assert.ok(await artifacts(page).isVisible());
  assert.equal(page.context().pages().length, 1);

  // In a tab of its own it has no way back to whoever opened it.
  const alone = `<h1 id="out">before</h1><script>
    document.getElementById('out').textContent = [window.origin, opener ? 'opener' : 'no opener'].join(', ');
  </script>`;
  const made = await mira.api('POST', 'api/artifacts', { project_id: id, name: 'A tab', type: 'html', content: alone });
  const link = await mira.api('POST', `api/artifacts/${made.id}/preview-link`, {});
  const [tab] = await Promise.all([page.context().waitForEvent('page'), page.evaluate((url) => { window.open(url); }, link.url)]);
  await until(() => tab.locator('#out').innerText(), (text) => text === 'null, no opener', 'what it says');
  await tab.close();
});

test('the keyboard is enough, and the focus returns', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: STILL_BOX });
  const { session } = await mira.project('Keys');
  const page = await talk(session);
  for (const [key, panel] of [['p', 'projects-panel'], ['a', 'artifacts-panel'], ['g', 'repos-panel']]) {
    await page.keyboard.press(`Alt+${key}`);
    await page.getByTestId(panel).waitFor();
    assert.equal(await page.locator('.panel:visible').count(), 1, 'one panel at a time');
    await page.keyboard.press('Escape');
    await until(() => page.getByTestId(panel).isVisible(), (open) => !open, 'Escape closes it');
    assert.equal(await at(page), 'composer');
  }
  await page.keyboard.press('Alt+a');
  await page.getByTestId('artifact-add').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type('By keys');
  await page.getByTestId('artifact-content').focus();
  await page.keyboard.type('some words');
  // Closing the panel keeps what was typed.
  await page.keyboard.press('Escape');
  await page.keyboard.press('Alt+a');
  assert.equal(await page.getByTestId('artifact-content').inputValue(), 'some words');
  await page.getByTestId('artifact-form-save').focus();
  await page.keyboard.press('Enter');
  await until(() => page.getByTestId('artifact-title').innerText(), (text) => text === 'By keys', 'it is made');
  await page.getByTestId('artifact-tab-preview').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await at(page), 'artifact-tab-source');
});

test('a thousand of them are a list like any other', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project: id, session } = await mira.project('Many');
  for (let n = 0; n < 1_000; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, k) => mira.api('POST', 'api/artifacts', { project_id: id, name: `number ${n + k}`, type: 'note', content: `${n + k}` })));
  }
  const page = await talk(session);
  await page.keyboard.press('Alt+a');
  await until(() => artifacts(page).getByTestId('artifact').count(), (count) => count === 50, 'a page of them');
  for (let pages = 2; pages <= 20; pages += 1) {
    await page.getByTestId('artifact-list-more').click();
    await until(() => artifacts(page).getByTestId('artifact').count(), (count) => count === pages * 50, 'the next page');
  }
  assert.equal(await page.getByTestId('artifact-list-more').isVisible(), false);
});

for (const colorScheme of ['dark', 'light']) {
  test(`panels fit a narrow screen in ${colorScheme}`, async (t) => {
    const { talk } = await visit(browser, mira, t, { expected: STILL_BOX, viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const { project: id, session } = await mira.project(`Narrow ${colorScheme} ${'with a long name '.repeat(8)}`);
    await mira.api('PATCH', `api/projects/${id}`, { description: 'unbreakable'.repeat(30), tags: ['a-rather-long-tag-of-thirty-letters', 'b', 'c'] });
    const content = `${'a very long line '.repeat(40)}\n`.repeat(5);
    const made = await mira.api('POST', 'api/artifacts', { project_id: id, name: 'n'.repeat(150), type: 'code', language: 'rust', content });
    assert.ok(made.id);
    const page = await talk(session);
    await fits(page, 'the header');
    await page.getByTestId('projects-button').click();
    await project(page, 'Narrow').first().waitFor();
    await fits(page, 'projects');
    await page.getByTestId('project-edit').first().click();
    await page.getByTestId('project-form').waitFor();
    await fits(page, 'a project in change');
    await page.getByTestId('project-artifacts').click();
    await page.getByTestId('artifact').first().click();
    await page.getByTestId('artifact-source').locator('tr').first().waitFor();
    await fits(page, 'an artifact');
    await page.getByTestId('artifact-edit').click();
    await fits(page, 'an artifact in change');
    await page.getByTestId('artifact-editor-cancel').click();
    await page.getByTestId('artifact-tab-versions').click();
    await page.getByTestId('version').first().waitFor();
    await fits(page, 'versions');
    await page.getByTestId('artifacts-close').click();
    await page.getByTestId('repos-button').click();
    await page.getByTestId('repo-attach').click();
    await fits(page, 'attaching');
  });
}
