// Her tools in plain words: what each is for, what a call is about, what it may do, what became of it.

const TOOLS = {
  recall: { icon: 'memory', doing: 'looks something up in her memory', name: 'Looks in her memory', does: 'Looks up what she knows of you and of what was said.', subject: 'question' },
  remember: { icon: 'pin', doing: 'keeps something in mind', name: 'Keeps in mind', does: 'Keeps something you told her, so that she knows it next time.', subject: 'topic' },
  forget: { icon: 'trash', doing: 'forgets something', name: 'Forgets', does: 'Takes something out of her memory for good.' },
  create_artifact: { icon: 'artifact', doing: 'makes an artifact', name: 'Makes an artifact', does: 'Makes a text, page, note or piece of code that stands beside the conversation.', subject: 'name' },
  edit_artifact: { icon: 'edit', doing: 'edits an artifact', name: 'Edits an artifact', does: 'Changes an artifact; its earlier versions stay.' },
  read_artifact: { icon: 'artifact', doing: 'reads an artifact', name: 'Reads an artifact', does: 'Reads an artifact again before she speaks of it.' },
  list_artifacts: { icon: 'artifact', doing: 'looks through the artifacts', name: 'Looks through the artifacts', does: 'Looks which artifacts a project has.' },
  list_files: { icon: 'folder', doing: 'looks into a folder', name: 'Looks into a folder', does: 'Looks which files a repository has.', subject: 'path' },
  read_file: { icon: 'file', doing: 'reads a file', name: 'Reads a file', does: 'Reads a file of a repository, or a part of it.', subject: 'path' },
  search_files: { icon: 'search', doing: 'searches the files', name: 'Searches the files', does: 'Finds the places in a repository where some words stand.', subject: 'query' },
  write_file: { icon: 'edit', doing: 'proposes a change to a file', name: 'Proposes a change to a file', does: 'Writes a change to a repository. It waits for you as a proposal, unless you let her commit.', subject: 'path' },
  git_log: { icon: 'history', doing: 'looks at the history', name: 'Looks at the history', does: 'Looks who changed what in a repository, and when.', subject: 'path' },
  git_diff: { icon: 'history', doing: 'looks at a change', name: 'Looks at a change', does: 'Looks at what one commit changed.', subject: 'commit' },
  web_search: { icon: 'globe', doing: 'searches the web', name: 'Searches the web', does: 'Asks a search engine and tells which pages she has it from.', subject: 'query', may: 'search the web' },
  fetch_url: { icon: 'globe', doing: 'opens a page', name: 'Opens a page', does: 'Reads a page of the web, one you name or one she found.', subject: 'url', may: 'open a page of the web' },
  code_interpreter: { icon: 'code', doing: 'runs code', name: 'Runs code', does: 'Runs a small program in a closed box, to compute something or draw a chart.', may: 'run code' },
  file_search: { icon: 'search', doing: 'looks in your files', name: 'Looks in your files', does: 'Finds the passages of your files that speak of something.', subject: 'query' },
  read_document: { icon: 'file', doing: 'reads a document', name: 'Reads a document', does: 'Reads a document of yours page by page.' },
  image_generation: { icon: 'picture', doing: 'makes a picture', name: 'Makes a picture', does: 'Makes a picture from words.', subject: 'prompt', may: 'make a picture' },
};

const MAY = {
  remember: 'keep something in mind', forget: 'forget something', create_artifact: 'make an artifact', edit_artifact: 'change an artifact', write_file: 'propose a change to a file',
};

export const EFFECTS = {
  read: { label: 'only looks', title: 'This tool changes nothing.' },
  write: { label: 'changes things', title: 'This tool may change what Mira keeps for you.' },
  outside: { label: 'reaches outside', title: 'This tool reaches beyond Mira: the network or another program.' },
};

export const STATUSES = {
  waiting: { icon: 'unsure', word: 'waits for you' },
  working: { icon: 'auto', word: 'at work' },
  unknown: { icon: 'unsure', word: 'no result' },
  ok: { icon: 'check', word: 'done' },
  failed: { icon: 'close', word: 'failed' },
  denied: { icon: 'no', word: 'not allowed' },
  expired: { icon: 'history', word: 'expired' },
  unavailable: { icon: 'off', word: 'not available' },
};

const spaced = (name) => name.replaceAll('_', ' ').replaceAll('-', ' ');

// What comes from a server of the owner's: { server, tool }; no tool where none of the server's is known.
export function ofServer(tool) {
  const match = /^mcp__(.+?)(?:__(.+))?$/.exec(tool || '');
  return match ? { server: match[1], tool: match[2] || '' } : null;
}

export function toolWords(tool) {
  const foreign = ofServer(tool);
  if (foreign && !foreign.tool) return { icon: 'plug', name: `The server ${foreign.server}`, doing: `uses the server ${foreign.server}` };
  if (foreign) return { icon: 'plug', name: spaced(foreign.tool), doing: `uses ${spaced(foreign.tool)} of ${foreign.server}`, may: `use “${spaced(foreign.tool)}” of the server ${foreign.server}` };
  return TOOLS[tool] || { icon: 'tool', name: spaced(tool || 'a tool'), doing: `uses ${spaced(tool || 'a tool')}` };
}

// What a call is about, in a few words; empty where it does not say.
export function subjectOf(call) {
  const { subject } = toolWords(call.tool);
  const value = subject && call.arguments && typeof call.arguments === 'object' ? call.arguments[subject] : null;
  if (typeof value === 'string' && value) return value;
  return typeof call.data?.name === 'string' ? call.data.name : '';
}

// What she would do if she were let: the end of "may she …?".
export function wish(call) {
  const words = toolWords(call.tool);
  const subject = subjectOf(call);
  return `${words.may || MAY[call.tool] || `use ${spaced(call.tool || 'a tool')}`}${subject ? `: ${subject}` : ''}`;
}

// For screen readers.
export const callAnnounced = (call) => `${toolWords(call.tool).doing}.`;

// What became of a call: a name among STATUSES, or null. Where the owner did not answer in time, that is why it was not
// allowed; code that ran and did not end well is no success, although the call was one.
export function endOf(call) {
  if (call.status === 'denied' && call.data?.approval === 'expired') return 'expired';
  if (call.status === 'ok' && call.tool === 'code_interpreter' && (call.data?.exit ?? 'ok') !== 'ok') return 'failed';
  return STATUSES[call.status] ? call.status : null;
}

export function resultAnnounced(call) {
  const end = endOf(call);
  return end === 'ok' ? null : `${toolWords(call.tool).name}: ${STATUSES[end || 'unknown'].word}.`;
}
