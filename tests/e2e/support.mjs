// What the specs share: a real server, the emulated model behind it, a real browser, and a guard that
// notices what no page may do. Nothing here waits for a time to pass: everything waits for a condition.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = dirname(fileURLToPath(import.meta.url));
const BIN = process.env.MIRA_BIN || join(HERE, '../../target/debug/mira-backend');
const SIM = process.env.MIRA_SIM || join(dirname(BIN), 'openai-sim');
const QDRANT = process.env.MIRA_QDRANT_SIM || join(dirname(BIN), 'qdrant-sim');
const CHROMIUM = process.env.MIRA_CHROMIUM || '/usr/bin/chromium';
export const TOKEN = 'an-owner-token-for-the-browser-tests';
const PATIENCE_MS = 15_000;

// --- processes -------------------------------------------------------------------------------------

// Starts a program that prints `listening on URL`; answers the process and the URL.
function start(program, args, env, cwd) {
  return new Promise((resolve, reject) => {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MIRA_|OPENAI_|QDRANT_|DATABASE_URL|RUST_LOG)/.test(name)));
    const child = spawn(program, args, { cwd, env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-500_000);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${program} ended (${code ?? signal}) before it listened:\n${said}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('listening on ')) resolve({ child, url: line.slice('listening on '.length).trim(), said: () => said });
    });
  });
}

function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill(signal);
  });
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// A model that does what `[[sim: ...]]` in the owner's words says. Between it and Mira stands a gate that lets
// only so many pieces of a reply through, so that a test decides how far a stream has come.
export async function startSim() {
  const { child, url } = await start(SIM, ['--directives']);
  const gate = { limit: Infinity, wake: new Set() };
  const raise = (limit) => {
    gate.limit = limit;
    for (const wake of [...gate.wake]) wake();
  };
  const server = createProxy((request, response) => pass(request, response, url, gate));
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    hold: (pieces) => raise(pieces),
    more: (pieces) => raise(gate.limit + pieces),
    release: () => raise(Infinity),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      await end(child, 'SIGINT');
    },
  };
}

async function pass(request, response, url, gate) {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const body = request.method === 'GET' ? undefined : answered(await bytesOf(request));
    const { authorization, accept = '*/*', 'content-type': type = 'application/json' } = request.headers;
    const path = request.url.replace(/^\/v1/, '');
    const answer = await fetch(url + path, { method: request.method, body, signal: gone.signal, headers: { authorization, accept, 'content-type': type } });
    const kept = [...answer.headers].filter(([name]) => !['content-length', 'transfer-encoding', 'connection', 'content-encoding'].includes(name));
    response.writeHead(answer.status, Object.fromEntries(kept));
    await passEvents(answer, response, gate, gone.signal);
    response.end();
  } catch {
    response.destroy(); // Mira left, or the emulated model broke off
  }
}

// `call=` in the owner's words orders a tool's call. Once its output is there the order is carried out: the
// emulated model goes on with words.
function answered(bytes) {
  const text = bytes.toString();
  if (!text.includes('function_call_output') && !text.includes('tool_call_id')) return bytes;
  const { input, messages } = JSON.parse(text);
  const last = (input || messages)?.at(-1);
  return last?.type === 'function_call_output' || last?.role === 'tool' ? Buffer.from(text.replaceAll(/\bcall=/g, 'called=')) : bytes;
}

async function passEvents(answer, response, gate, gone) {
  const decoder = new TextDecoder();
  let rest = '';
  let pieces = 0;
  for await (const bytes of answer.body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (event.includes('.delta"')) {
        await opened(gate, pieces, gone);
        pieces += 1;
      }
      response.write(`${event}\n\n`);
    }
  }
  response.write(rest);
}

async function opened(gate, pieces, gone) {
  while (pieces >= gate.limit) {
    await new Promise((resolve, reject) => {
      gate.wake.add(resolve);
      gone.addEventListener('abort', reject, { once: true });
    });
    gate.wake.clear();
  }
}

async function bytesOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

// An emulated Qdrant, empty.
export async function startQdrant() {
  const { child, url } = await start(QDRANT, []);
  return { url, stop: () => end(child, 'SIGINT') };
}

// Mira; without a sim she rehearses. `kill` and `revive` keep address and data.
export async function startMira({ sim = null, env = {} } = {}) {
  const home = mkdtempSync(join(tmpdir(), 'mira-e2e-'));
  const settings = {
    MIRA_DATA_DIR: join(home, 'data'),
    MIRA_PORT: String(await freePort()),
    MIRA_AUTH_TOKEN: TOKEN,
    MIRA_TZ: 'UTC',
    MIRA_SHUTDOWN_GRACE_SECONDS: '1',
    ...(sim ? { OPENAI_BASE_URL: sim.url, OPENAI_API_KEY: 'sk-browser-tests', MIRA_LLM_API: 'responses' } : {}),
    ...env,
  };
  const launch = () => start(BIN, [], settings, home);
  let running = await launch();
  const mira = {
    url: running.url,
    said: () => running.said(),
    kill: () => end(running.child, 'SIGKILL'),
    async revive() {
      running = await launch();
    },
    async stop() {
      await end(running.child, 'SIGTERM');
      rmSync(home, { recursive: true, force: true });
    },
    // A command beside the server; what it prints. It may ask the server, which is another process.
    run: (...args) => execFileSync(BIN, args, { cwd: home, env: { PATH: process.env.PATH, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] }).toString(),
    home,
    async api(method, path, body) {
      const response = await fetch(`${mira.url}/${path}`, {
        method,
        headers: { authorization: `Bearer ${TOKEN}`, ...(body ? { 'content-type': 'application/json' } : {}) },
        body: body && JSON.stringify(body),
      });
      const text = await response.text();
      assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
      return text ? JSON.parse(text) : null;
    },
    // A conversation of its own for each test.
    async session(title) {
      return (await mira.api('POST', 'api/sessions', { title })).id;
    },
    // A project and a conversation in it.
    async project(name) {
      const project = await mira.api('POST', 'api/projects', { name });
      const session = await mira.session(name);
      await mira.api('PATCH', `api/sessions/${session}`, { project_id: project.id });
      return { project: project.id, session };
    },
  };
  return mira;
}

// --- a git server ----------------------------------------------------------------------------------

const GIT_ENV = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.org', GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.org' };

// Repositories over HTTP as git itself serves them. `hold` keeps objects back until `release`, so that a test can
// look at a clone under way.
export async function startGit() {
  const root = mkdtempSync(join(tmpdir(), 'mira-e2e-git-'));
  // Files only: this thread also serves the addresses, and waits for each command.
  const git = (dir, ...args) => execFileSync('git', ['-C', join(root, dir), ...args], { env: { PATH: process.env.PATH, HOME: root, ...GIT_ENV }, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  const gate = { held: false, wake: new Set() };
  const server = createProxy((request, response) => serveGit(root, gate, request, response));
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const host = `127.0.0.1:${server.address().port}`;
  return {
    host,
    git,
    // A repository with these files in one commit; answers its address.
    make(name, files) {
      mkdirSync(join(root, `${name}-work`), { recursive: true });
      git(`${name}-work`, 'init', '-q', '-b', 'main');
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(root, `${name}-work`, path)), { recursive: true });
        writeFileSync(join(root, `${name}-work`, path), content);
      }
      git(`${name}-work`, 'add', '-A');
      git(`${name}-work`, 'commit', '-q', '-m', 'The beginning');
      execFileSync('git', ['clone', '-q', '--bare', join(root, `${name}-work`), join(root, `${name}.git`)], { env: { PATH: process.env.PATH, ...GIT_ENV } });
      git(`${name}.git`, 'config', 'http.receivepack', 'true');
      return `http://${host}/${name}.git`;
    },
    // A commit somebody else makes on the server.
    commit(name, path, content, message) {
      git(`${name}-work`, 'fetch', '-q', join(root, `${name}.git`), 'main');
      git(`${name}-work`, 'reset', '-q', '--hard', 'FETCH_HEAD');
      writeFileSync(join(root, `${name}-work`, path), content);
      git(`${name}-work`, 'add', '-A');
      git(`${name}-work`, 'commit', '-q', '-m', message);
      git(`${name}-work`, 'push', '-q', join(root, `${name}.git`), 'HEAD:main');
    },
    hold() {
      gate.held = true;
    },
    release() {
      gate.held = false;
      for (const wake of [...gate.wake]) wake();
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function serveGit(root, gate, request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (gate.held && url.pathname.endsWith('/git-upload-pack')) await Promise.race([
    new Promise((resolve) => { gate.wake.add(resolve); }),
    new Promise((resolve) => { response.on('close', resolve); }),
  ]);
  if (response.closed) return;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH, ...GIT_ENV, GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', REQUEST_METHOD: request.method, PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1), CONTENT_TYPE: request.headers['content-type'] || '', REMOTE_ADDR: '127.0.0.1', HTTP_GIT_PROTOCOL: request.headers['git-protocol'] || '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] || '',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  response.on('close', () => child.kill()); // or it waits for ever for the rest of a request
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  for await (const bytes of child.stdout) {
    if (response.headersSent) {
      response.write(bytes);
      continue;
    }
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) continue;
    const fields = head.subarray(0, end).toString().split('\r\n').map((line) => line.split(/:\s*/));
    const status = fields.find(([name]) => name.toLowerCase() === 'status')?.[1];
    response.writeHead(status ? Number.parseInt(status, 10) : 200, Object.fromEntries(fields.filter(([name]) => name.toLowerCase() !== 'status')));
    response.write(head.subarray(end + 4));
  }
  response.end();
}

// What a terminal prints: the one-time link of `mira-backend login-link`.
export function loginLink(mira) {
  return /http\S+#login=\S+/.exec(mira.said())?.[0];
}

// --- the browser -----------------------------------------------------------------------------------

const launchBrowser = () => chromium.launch({ executablePath: CHROMIUM });

// What a spec works with, until its last test is over: Mira and a browser, and where wanted the emulated model behind
// her, a git server, a second Mira who rehearses. env: more of her variables, from what runs by then.
export async function house({ model = false, repositories = false, rehearsal = false, env = () => ({}) } = {}) {
  const started = [];
  const stop = async () => {
    for (const end of started.splice(0).reverse()) await end();
  };
  const keep = async (starting, end = 'stop') => {
    const one = await starting;
    started.push(() => one[end]());
    return one;
  };
  after(stop);
  try {
    const [sim, git] = await Promise.all([model && keep(startSim()), repositories && keep(startGit())]);
    const [mira, rehearsing, browser] = await Promise.all([
      keep(startMira({ sim: sim || null, env: env({ git }) })), rehearsal && keep(startMira()), keep(launchBrowser(), 'close'),
    ]);
    return { sim, git, mira, rehearsing, browser };
  } catch (error) {
    await stop();
    throw error;
  }
}

// A reply that was cut off with the server, or is deleted at this moment, has none: the browser says that it was asked for.
const NO_RECEIPT = /status of 404.*\/receipt$/;

// Fails on what no page may do; `expected` are console errors that belong to the test.
function guard(page, base, expected) {
  const faults = [];
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  page.on('pageerror', (error) => faults.push(`script error: ${error.stack || error}`));
  page.on('console', (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (['error', 'warning'].includes(message.type()) && ![NO_RECEIPT, ...expected].some((known) => known.test(text))) faults.push(`console: ${text}`);
  });
  const foreign = (url) => {
    if (!url.startsWith(base) && !url.startsWith(base.replace(/^http/, 'ws')) && !/^(data|blob|about):/.test(url)) faults.push(`foreign request: ${url}`);
  };
  page.on('request', (request) => foreign(request.url()));
  page.on('websocket', (socket) => foreign(socket.url()));
  return faults;
}

// Runs before the page's own scripts: every text her newest reply had on screen.
function watchReply() {
  window.shownTexts = [];
  new MutationObserver(() => {
    const text = [...document.querySelectorAll('[data-testid="message-mira"] .her-prose')].at(-1)?.textContent;
    if (text && text !== window.shownTexts.at(-1)) window.shownTexts.push(text);
  }).observe(document, { childList: true, subtree: true, characterData: true });
}

// One test's browser: contexts are logged in unless told otherwise, and judged when the test ends.
export async function visit(browser, mira, t, { login = true, expected = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const judged = [];
  t.after(async () => {
    await context.close();
    for (const faults of judged) assert.deepEqual(faults, []);
  });
  if (login) {
    const response = await context.request.post(`${mira.url}/api/login`, { data: { token: TOKEN } });
    assert.equal(response.status(), 200);
  }
  // Another tab of the same browser, in a window of its own: the browser slows what lies behind another tab.
  async function newWindow() {
    const [inside, all] = await Promise.all([context.newCDPSession(context.pages()[0]), browser.newBrowserCDPSession()]);
    const { targetInfo } = await inside.send('Target.getTargetInfo');
    const [page] = await Promise.all([
      context.waitForEvent('page'),
      all.send('Target.createTarget', { url: 'about:blank', newWindow: true, browserContextId: targetInfo.browserContextId }),
    ]);
    return page;
  }
  async function open(path = '/') {
    const page = context.pages().length === 0 ? await context.newPage() : await newWindow();
    judged.push(guard(page, mira.url, expected));
    await page.addInitScript(watchReply);
    await page.goto(path.startsWith('http') ? path : `${mira.url}${path}`);
    return page;
  }
  // A session, ready to be written in.
  async function talk(session) {
    const page = await open(session ? `/#/s/${session}` : '/');
    await ready(page);
    return page;
  }
  return { context, open, talk };
}

export const LOST_CONNECTION = [/WebSocket connection to .* failed/, /ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/];
// Where nothing may run, the script that watches replies may not either, and the browser says so.
export const STILL_BOX = [/Blocked script execution in '[^']*\/preview\?/];
export const NOT_LOGGED_IN = [/status of 401/];

// --- talking ---------------------------------------------------------------------------------------

export const composer = (page) => page.getByTestId('composer');
export const replies = (page) => page.getByTestId('message-mira');
export const said = (page) => page.getByTestId('message-user');
export const lastReply = (page) => replies(page).last();

// The page has its history and its socket.
export async function ready(page) {
  await composer(page).waitFor();
  await page.locator('.top[data-link="online"]').waitFor();
}

export async function say(page, text) {
  await composer(page).fill(text);
  await page.getByTestId('send').click();
}

// Lets `sim` go on until the newest reply on `page` shows more than it did.
export async function untilMore(sim, page, pieces = 20) {
  const read = async () => ((await replies(page).count()) > 0 ? textOf(lastReply(page)) : '');
  const before = await read();
  sim.more(pieces);
  return until(read, (text) => text.length > before.length, 'her reply does not grow');
}

// Numbered words: a gap, a double and a swap each show.
export const words = (count, name = 'w') => Array.from({ length: count }, (_, n) => `${name}${n + 1}`).join(' ');

// A message that makes the emulated model say `output`.
export function ask(output, directives = '') {
  const quoted = output.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `[[sim: output="${quoted}" ${directives}]]`;
}

// A message that makes the emulated model call a tool, and then say `output`.
export const askTool = (tool, args, output = 'Done.') => ask(output, `call=${tool} args="${JSON.stringify(args).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);

// Where the keyboard is: an element's testid.
export const at = (page) => page.evaluate(() => document.activeElement?.dataset.testid || document.activeElement?.tagName);

export const plain = (text) => text.replace(/\s+/g, ' ').trim();

export async function textOf(locator) {
  return plain(await locator.locator('.prose').innerText());
}

// Waits until what `read` answers satisfies `check`; the last value is in the failure.
export async function until(read, check, what) {
  const deadline = Date.now() + PATIENCE_MS;
  let value;
  for (;;) {
    value = await read();
    if (check(value)) return value;
    if (Date.now() > deadline) assert.fail(`${what}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

export const untilShown = (page, text) => until(
  async () => ((await replies(page).count()) > 0 ? textOf(lastReply(page)) : ''),
  (shown) => shown.includes(text),
  `her reply does not show ${text}`,
);

// Her newest reply is finished; answers its text.
export async function finished(page, status = 'complete') {
  await page.locator(`[data-testid="message-mira"][data-status="${status}"]`).last().waitFor();
  await until(() => lastReply(page).getAttribute('data-status'), (value) => value === status, 'her reply is not finished');
  return textOf(lastReply(page));
}

// Says something and answers what she said to it.
export async function tell(page, text) {
  const before = await replies(page).count();
  await say(page, text);
  await until(() => replies(page).count(), (count) => count > before, 'she answers');
  return finished(page);
}

// Everything the reply showed on its way was the beginning of what it became, and it only grew.
export async function grewInto(page, whole, { least = 2 } = {}) {
  const shown = (await page.evaluate(() => window.shownTexts)).map(plain);
  assert.ok(new Set(shown).size >= least, `the reply came in ${new Set(shown).size} steps`);
  shown.forEach((text, index) => {
    assert.ok(whole.startsWith(text), `on its way it showed ${JSON.stringify(text)}`);
    assert.ok(index === 0 || text.length >= shown[index - 1].length, `it shrank from ${JSON.stringify(shown[index - 1])} to ${JSON.stringify(text)}`);
  });
}
