// Repositories in the page, against git's own server: attached with progress, read, changed, synced and
// pushed; her proposals applied or discarded; no edit lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fits } from './comfort.mjs';
import { askTool, house, lastReply, ready, tell, until, visit } from './support.mjs';

const { git, mira, browser } = await house({ model: true, repositories: true, env: ({ git: { host } }) => ({ MIRA_ALLOW_PRIVATE_HOSTS: host }) });

const panel = (page) => page.getByTestId('repos-panel');
const MAIN = 'fn main() {\n    println!("hello");\n}\n';
const FILES = { 'README.md': '# Greeter\n', 'src/main.rs': MAIN, 'src/deep/er.rs': '// deep\n', 'notes.txt': 'one\ntwo\n' };

// A project, a conversation in it and an attached repository that is ready.
async function attached(name, files = FILES) {
  const url = git.make(name, files);
  const { project, session } = await mira.project(name);
  const repo = await mira.api('POST', `api/projects/${project}/git/attach`, { repo_url: url });
  await until(() => mira.api('GET', `api/projects/${project}/git/repos/${repo.id}`), ({ status }) => status === 'ready', 'it is fetched');
  return { project, session, repo: repo.id, base: `api/projects/${project}/git` };
}

async function openRepo(page, name) {
  if (!(await panel(page).isVisible())) await page.keyboard.press('Alt+g');
  await panel(page).getByTestId('repo').filter({ hasText: name }).click();
  await until(() => page.getByTestId('repo-name').innerText(), (text) => text === name, 'it opens');
}

async function openFile(page, path) {
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth += 1) {
    const folder = page.locator(`[data-testid="tree-dir"][data-path="${parts.slice(0, depth).join('/')}"]`);
    await folder.waitFor();
    if ((await folder.getAttribute('aria-expanded')) === 'false') await folder.click();
  }
  await page.locator(`[data-testid="tree-file"][data-path="${path}"]`).click();
  await page.getByTestId('file-lines').locator('tr').first().waitFor();
}

const shown = (page) => page.getByTestId('file-lines').innerText();
const log = (name) => git.git(`${name}.git`, 'log', '--format=%s', 'main').trim().split('\n');

test('attached by hand: progress, cancel, files, an edit that is pushed', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const url = git.make('greeter', FILES);
  const { session } = await mira.project('greeter');
  const page = await talk(session);
  await page.keyboard.press('Alt+g');
  await page.getByTestId('repo-list-empty').waitFor();

  const attach = async () => {
    await page.getByTestId('repo-attach').click();
    await page.getByTestId('attach-url').fill(url);
    await page.getByTestId('attach-form-save').click();
    await page.getByTestId('repo-view').waitFor();
  };
  git.hold();
  await attach();
  await page.getByTestId('repo-view').getByTestId('repo-progress').waitFor();
  await page.getByTestId('repo-cancel').click();
  await until(() => page.getByTestId('repo-view').getAttribute('data-status'), (status) => status === 'cancelled', 'it is cancelled');
  git.release();
  await page.getByTestId('repo-detach').click();
  await page.getByTestId('confirm-yes').click();
  await page.getByTestId('repo-list-empty').waitFor();

  await attach();
  await until(() => page.getByTestId('repo-view').getAttribute('data-status'), (status) => status === 'ready', 'it is ready');
  await openFile(page, 'src/main.rs');
  assert.match(await shown(page), /println/);
  await page.getByTestId('file-edit').click();
  await page.getByTestId('file-field').fill(MAIN.replace('hello', 'good morning'));
  await page.getByTestId('file-message').fill('Greet in the morning');
  await page.getByTestId('file-editor-save').click();
  await until(() => shown(page), (text) => text.includes('good morning'), 'the file follows');
  await page.getByTestId('repo-tab-history').click();
  await until(() => page.getByTestId('commit').first().innerText(), (text) => text.includes('Greet in the morning'), 'it is a commit');
  assert.deepEqual(log('greeter'), ['The beginning'], 'nothing is pushed unasked');

  // What is nowhere else is told before it would go.
  await page.getByTestId('repo-detach').click();
  await until(() => page.getByTestId('confirm-losses').innerText(), (text) => text.includes('1 commit never pushed on main'), 'what would be lost');
  await page.getByTestId('confirm-no').click();

  await page.getByTestId('repo-sync').click();
  await page.getByTestId('sync-push').check();
  await page.getByTestId('sync-form-save').click();
  await until(() => page.getByTestId('repo-news').innerText(), (text) => /pushed/.test(text), 'it is pushed');
  assert.deepEqual(log('greeter'), ['Greet in the morning', 'The beginning']);
  assert.equal(git.git('greeter.git', 'show', 'main:src/main.rs'), MAIN.replace('hello', 'good morning'));

  // What somebody else pushed comes with the next sync.
  git.commit('greeter', 'notes.txt', 'one\ntwo\nthree\n', 'Count further');
  await page.getByTestId('repo-sync').click();
  await page.getByTestId('sync-form-save').click();
  await until(() => page.getByTestId('repo-news').innerText(), (text) => /up to date/.test(text), 'it is fetched');
  await until(() => page.getByTestId('commit').first().innerText(), (text) => text.includes('Count further'), 'the history follows');
});

test('a project tells what of it is nowhere else, and goes with it when the owner says so', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { project, session, repo, base } = await attached('losses');
  const page = await talk(session);
  await page.keyboard.press('Alt+p');
  const row = page.getByTestId('project').filter({ hasText: 'losses' });
  await row.getByTestId('project-delete').click();
  await until(() => page.locator('#confirm-text').innerText(), (text) => /1 repository/.test(text), 'what goes');
  assert.equal(await page.getByTestId('confirm-losses').count(), 0, 'all of it is elsewhere');
  await page.getByTestId('confirm-no').click();
  await mira.api('PUT', `${base}/files/${repo}/content/notes.txt`, { content: 'mine\n' });
  await row.getByTestId('project-delete').click();
  await until(() => page.getByTestId('confirm-losses').innerText(), (text) => text.includes('1 commit never pushed on main'), 'what would be lost');
  await page.getByTestId('confirm-yes').click();
  await until(() => row.count(), (count) => count === 0, 'it is gone');
  await assert.rejects(mira.api('GET', `api/projects/${project}`), /404/);
});

test('files are made, renamed, deleted; history, search, blame, status and branches show it', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/branch\/\S+$/] });
  const { session } = await attached('files');
  const page = await talk(session);
  await openRepo(page, 'files');
  await page.getByTestId('file-new').click();
  await page.getByTestId('new-path').fill('docs/plan.md');
  await page.getByTestId('new-content').fill('# Plan\n\nneedle in here\n');
  await page.getByTestId('new-message').fill('A plan');
  await page.getByTestId('new-file-save').click();
  await until(() => page.getByTestId('file-path').innerText(), (text) => text === 'docs/plan.md', 'the new file opens');
  await until(() => shown(page), (text) => text.includes('needle'), 'its words');

  await page.getByTestId('file-rename').click();
  await page.getByTestId('file-rename-to').fill('docs/the plan.md');
  await page.getByTestId('file-rename-form-save').click();
  await until(() => page.getByTestId('file-path').innerText(), (text) => text === 'docs/the plan.md', 'its new path');
  await page.getByTestId('file-blame').click();
  await page.locator('.line-who button').first().waitFor();

  await page.getByTestId('repo-tab-search').click();
  await page.getByTestId('repo-search').fill('needle');
  await page.getByTestId('repo-search-result').click();
  await until(() => page.locator('.line-marked').innerText(), (text) => text.includes('needle'), 'the line is shown');

  await page.getByTestId('repo-tab-history').click();
  await until(() => page.getByTestId('commit').count(), (count) => count === 3, 'three commits');
  await page.getByTestId('commit').nth(1).click();
  await until(() => page.getByTestId('commit-view').innerText(), (text) => /A plan/.test(text) && /needle/.test(text), 'what it changed');
  await page.getByTestId('commit-back').click();
  await page.getByTestId('commit').first().click();
  await until(() => page.getByTestId('commit-view').innerText(), (text) => text.includes('docs/plan.md → docs/the plan.md'), 'a rename is one');

  await page.getByTestId('repo-tab-files').click();
  await page.getByTestId('file-delete').click();
  await page.getByTestId('confirm-yes').click();
  await until(() => page.locator('[data-path="docs"]').count(), (count) => count === 0, 'it is gone from the tree');

  await page.getByTestId('repo-tab-branches').click();
  await page.getByTestId('branch-new').click();
  await page.getByTestId('branch-name').fill('not a name..');
  await page.getByTestId('branch-form-save').click();
  await until(() => page.getByTestId('branch-form-problem').innerText(), (text) => text.length > 0, 'a bad name is told');
  await page.getByTestId('branch-name').fill('try-this');
  await page.getByTestId('branch-form-save').click();
  await page.locator('[data-branch="try-this"].current').waitFor();
  await until(() => page.getByTestId('repo-meta').innerText(), (text) => text.includes('try-this'), 'the repository says so');
  await page.locator('[data-branch="main"]').getByTestId('branch-switch').click();
  await page.locator('[data-branch="main"].current').waitFor();
  await page.getByTestId('repo-tab-status').click();
  await until(() => page.getByTestId('status-lead').innerText(), (text) => /On main/.test(text) && /3 commits not pushed/.test(text), 'how it stands');
});

test('who is slower keeps their text, and is told who won', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 409/] });
  const { session, repo, base } = await attached('conflict');
  const page = await talk(session);
  await openRepo(page, 'conflict');
  await openFile(page, 'notes.txt');
  await page.getByTestId('file-edit').click();
  await page.getByTestId('file-field').fill('mine\n');
  await mira.api('PUT', `${base}/files/${repo}/content/notes.txt`, { content: 'theirs\n', commit_message: 'I was faster' });
  await page.getByTestId('file-editor-save').click();
  await page.getByTestId('conflict').waitFor();
  await until(() => page.getByTestId('conflict').innerText(), (text) => /I was faster/.test(text), 'what it says');
  await until(() => page.getByTestId('conflict-theirs').innerText(), (text) => /theirs/.test(text), 'what it says');
  await until(() => page.getByTestId('conflict-mine').innerText(), (text) => /mine/.test(text), 'what it says');
  assert.equal((await mira.api('GET', `${base}/files/${repo}/content/notes.txt`)).content, 'theirs\n', 'nothing is overwritten');

  await page.reload();
  await ready(page);
  await openRepo(page, 'conflict');
  await openFileAgain(page);
  await until(() => page.getByTestId('file-field').inputValue(), (text) => text === 'mine\n', 'the draft is back');
  await page.getByTestId('file-message').fill('Mine on top');
  await page.getByTestId('file-editor-save').click();
  await until(() => shown(page), (text) => text.includes('mine'), 'it is committed on top');
  assert.deepEqual((await mira.api('GET', `${base}/commits/${repo}`)).commits.map((c) => c.summary), ['Mine on top', 'I was faster', 'The beginning']);
});

test('a file keeps the ends of its lines', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { session, repo, base } = await attached('windows', { ...FILES, 'notes.txt': 'one\r\ntwo\r\n' });
  const page = await talk(session);
  await openRepo(page, 'windows');
  await openFile(page, 'notes.txt');
  // Nothing was changed: nothing is asked.
  await page.getByTestId('file-edit').click();
  await page.getByTestId('file-editor-cancel').click();
  await page.getByTestId('file-edit').click();
  await page.getByTestId('file-field').fill('one\n2\nthree\n');
  await page.getByTestId('file-editor-save').click();
  await until(() => shown(page), (text) => text.includes('three'), 'it is committed');
  assert.equal((await mira.api('GET', `${base}/files/${repo}/content/notes.txt`)).content, 'one\r\n2\r\nthree\r\n');
});

test('a login is replaced', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 422/] });
  const { session } = await attached('login');
  const page = await talk(session);
  await openRepo(page, 'login');
  await page.getByTestId('repo-login').click();
  await page.getByTestId('attach-auth').selectOption('ssh_key');
  await page.getByTestId('attach-key').fill('not for this address');
  await page.getByTestId('repo-login-form-save').click();
  await until(() => page.getByTestId('repo-login-form-problem').innerText(), (text) => /keys are for ssh/.test(text), 'it does not fit');
  await page.getByTestId('attach-auth').selectOption('token');
  await page.getByTestId('attach-token').fill('fresh');
  await page.getByTestId('repo-login-form-save').click();
  await until(() => page.getByTestId('repo-news').innerText(), (text) => /next sync/.test(text), 'it is kept');
  assert.equal(await page.getByTestId('attach-token').count(), 0, 'and out of the page');
});

async function openFileAgain(page) {
  await page.locator('[data-testid="tree-file"][data-path="notes.txt"]').click();
}

test('a sync with a conflict names the files and touches nothing', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 409/] });
  const { session, repo, base } = await attached('diverged');
  git.commit('diverged', 'notes.txt', 'one\ntheirs\n', 'Their change');
  await mira.api('PUT', `${base}/files/${repo}/content/notes.txt`, { content: 'one\nours\n', commit_message: 'Our change' });
  const page = await talk(session);
  await openRepo(page, 'diverged');
  await page.getByTestId('repo-sync').click();
  await page.getByTestId('sync-form-save').click();
  await until(() => page.getByTestId('sync-form-problem').innerText(), (text) => text.includes('notes.txt'), 'the path is named');
  assert.equal((await mira.api('GET', `${base}/files/${repo}/content/notes.txt`)).content, 'one\nours\n');
});

test('what she would change waits as a proposal, in every tab, until the owner decides', async (t) => {
  const { talk } = await visit(browser, mira, t);
  const { session, repo, base } = await attached('proposals');
  const [one, two] = [await talk(session), await talk(session)];
  for (const page of [one, two]) await openRepo(page, 'proposals');

  // The place the owner points at goes with the message.
  await openFile(one, 'src/main.rs');
  await one.locator('.line-number button').nth(1).click();
  await one.getByTestId('file-ask').click();
  await until(() => one.getByTestId('about-file').innerText(), (text) => /src\/main\.rs, line 2/.test(text), 'the place stands under the composer');
  assert.equal(await tell(one, askTool('write_file', { repository: null, path: 'src/main.rs', edits: [{ old: '"hello"', new: '"good evening"' }], content: null, message: 'Greet in the evening' }, 'Have a look.')), 'Have a look.');
  const said = (await mira.api('GET', `api/chat/history?session_id=${session}`)).messages.at(-2);
  assert.deepEqual([said.metadata.file_path, said.metadata.attachment_id, said.metadata.selection.start_line], ['src/main.rs', repo, 2]);

  await lastReply(one).getByTestId('tool-open-proposal').click();
  const proposal = (page) => page.getByTestId('proposal').filter({ hasText: 'Greet in the evening' });
  await until(() => proposal(one).locator('.diff-add').innerText(), (text) => text.includes('good evening'), 'the difference');
  await until(() => proposal(one).locator('.diff-del').innerText(), (text) => /hello/.test(text), 'what it says');
  assert.equal((await mira.api('GET', `${base}/files/${repo}/content/src/main.rs`)).content, MAIN, 'nothing is changed yet');

  await until(() => two.getByTestId('repo-tab-proposals').innerText(), (text) => text.includes('(1)'), 'the other tab counts it');
  await two.getByTestId('repo-tab-proposals').click();
  await proposal(two).getByTestId('proposal-apply').click();
  for (const page of [one, two]) await until(() => proposal(page).getByTestId('proposal-state').innerText(), (text) => text === 'applied', 'it is applied');
  await until(async () => (await mira.api('GET', `${base}/commits/${repo}`)).commits[0].summary, (summary) => summary === 'Greet in the evening', 'it is a commit');

  // It is here only, and the way out is beside it.
  for (const page of [one, two]) await until(() => page.getByTestId('repo-ahead').innerText(), (text) => text.includes('1 commit not pushed'), 'every tab says what is not pushed');
  await until(() => proposal(two).getByTestId('proposal-news').innerText(), (text) => /It is commit [0-9a-f]{8}\. 1 commit not pushed/.test(text), 'and so does the proposal');
  assert.notEqual(log('proposals')[0], 'Greet in the evening');
  await proposal(two).getByTestId('proposal-push').click();
  assert.equal(await two.getByTestId('sync-push').isChecked(), true);
  await two.keyboard.press('Enter');
  await until(() => two.getByTestId('repo-news').innerText(), (text) => text.includes('pushed'), 'it is pushed');
  assert.equal(log('proposals')[0], 'Greet in the evening');
  for (const page of [one, two]) await page.getByTestId('repo-ahead').waitFor({ state: 'hidden' });
  assert.equal(await proposal(two).getByTestId('proposal-push').isVisible(), false);
  await Promise.all([two.waitForResponse((response) => /\/files\/[^/]+\/tree/.test(response.url())), two.getByTestId('repo-tab-files').click()]);
  await openFile(two, 'src/main.rs');
  await until(() => shown(two), (text) => text.includes('good evening'), 'the file has it');

  assert.equal(await tell(one, askTool('write_file', { repository: null, path: 'notes.txt', edits: null, content: 'nothing\n', message: 'Throw it away' }, 'And this?')), 'And this?');
  const other = one.getByTestId('proposal').filter({ hasText: 'Throw it away' });
  await other.getByTestId('proposal-discard').click();
  await until(() => other.getByTestId('proposal-state').innerText(), (text) => text === 'discarded', 'it is put away');
  assert.equal((await mira.api('GET', `${base}/files/${repo}/content/notes.txt`)).content, FILES['notes.txt']);
});

test('what cannot be attached says why', async (t) => {
  const { talk } = await visit(browser, mira, t, { expected: [/status of 422/] });
  const { session } = await mira.project('refused');
  const page = await talk(session);
  await page.keyboard.press('Alt+g');
  await page.getByTestId('repo-attach').click();
  for (const url of ['file:///etc', 'http://127.0.0.1:1/x.git', 'ext::sh -c true']) {
    await page.getByTestId('attach-url').fill(url);
    await page.getByTestId('attach-form-save').click();
    await until(() => page.getByTestId('attach-form-problem').innerText(), (text) => text.length > 0, `${url} is refused`);
    assert.equal(await page.getByTestId('attach-url').inputValue(), url, 'what was typed stays');
  }
  await page.getByTestId('attach-url').fill(`http://${git.host}/nothing.git`);
  await page.getByTestId('attach-form-save').click();
  await until(() => page.getByTestId('repo-view').getAttribute('data-status'), (status) => status === 'failed', 'it fails');
  assert.notEqual(await page.getByTestId('repo-error').innerText(), '');
});

for (const colorScheme of ['dark', 'light']) {
  test(`a repository fits a narrow screen in ${colorScheme}`, async (t) => {
    const { talk } = await visit(browser, mira, t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    const { session } = await attached(`narrow-${colorScheme}`, { ...FILES, [`${'long'.repeat(30)}.txt`]: `${'wide '.repeat(100)}\n`.repeat(30) });
    const page = await talk(session);
    await page.getByTestId('repos-button').click();
    await panel(page).getByTestId('repo').click();
    await page.getByTestId('tree-file').first().waitFor();
    await fits(page, 'the tree');
    await openFile(page, `${'long'.repeat(30)}.txt`);
    await fits(page, 'a file');
    await page.getByTestId('file-edit').click();
    await fits(page, 'a file in change');
    for (const [tab, wait] of [['history', 'commit'], ['branches', 'branch'], ['status', 'status-lead']]) {
      await page.getByTestId(`repo-tab-${tab}`).click();
      await page.getByTestId(wait).first().waitFor();
      await fits(page, tab);
    }
    await page.getByTestId('repo-tab-history').click();
    await page.getByTestId('commit').first().click();
    await page.locator('.file-diff').first().waitFor();
    await fits(page, 'a commit');
  });
}
