// Her tools in plain words: what a call is about, what it may do, what became of it.

const TOOLS = {
  recall: { icon: 'memory', doing: 'looks something up in her memory', name: 'Looks in her memory', subject: 'question' },
  remember: { icon: 'pin', doing: 'keeps something in mind', name: 'Keeps in mind', subject: 'topic' },
  forget: { icon: 'trash', doing: 'forgets something', name: 'Forgets' },
  create_artifact: { icon: 'artifact', doing: 'makes an artifact', name: 'Makes an artifact', subject: 'name' },
  edit_artifact: { icon: 'edit', doing: 'edits an artifact', name: 'Edits an artifact' },
  read_artifact: { icon: 'artifact', doing: 'reads an artifact', name: 'Reads an artifact' },
  list_artifacts: { icon: 'artifact', doing: 'looks through the artifacts', name: 'Looks through the artifacts' },
  list_files: { icon: 'folder', doing: 'looks into a folder', name: 'Looks into a folder', subject: 'path' },
  read_file: { icon: 'file', doing: 'reads a file', name: 'Reads a file', subject: 'path' },
  search_files: { icon: 'search', doing: 'searches the files', name: 'Searches the files', subject: 'query' },
  write_file: { icon: 'edit', doing: 'proposes a change to a file', name: 'Proposes a change to a file', subject: 'path' },
  git_log: { icon: 'history', doing: 'looks at the history', name: 'Looks at the history', subject: 'path' },
  git_diff: { icon: 'history', doing: 'looks at a change', name: 'Looks at a change', subject: 'commit' },
  web_search: { icon: 'globe', doing: 'searches the web', name: 'Searches the web', subject: 'query', may: 'search the web' },
  fetch_url: { icon: 'globe', doing: 'opens a page', name: 'Opens a page', subject: 'url', may: 'open a page of the web' },
  code_interpreter: { icon: 'code', doing: 'runs code', name: 'Runs code', may: 'run code' },
  file_search: { icon: 'search', doing: 'looks in your files', name: 'Looks in your files', subject: 'query' },
  read_document: { icon: 'file', doing: 'reads a document', name: 'Reads a document' },
  image_generation: { icon: 'picture', doing: 'makes a picture', name: 'Makes a picture', subject: 'prompt', may: 'make a picture' },
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

// What comes from a server of the owner's: { server, tool }.
export function ofServer(tool) {
  const match = /^mcp__(.+?)__(.+)$/.exec(tool || '');
  return match ? { server: match[1], tool: match[2] } : null;
}

export function toolWords(tool) {
  const foreign = ofServer(tool);
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

// What became of a call: a name among STATUSES, or null. Where the owner did not answer in time, that is why it was not allowed.
export function endOf(call) {
  if (call.status === 'denied' && call.data?.approval === 'expired') return 'expired';
  return STATUSES[call.status] ? call.status : null;
}

export function resultAnnounced(call) {
  return call.status === 'ok' ? null : `${toolWords(call.tool).name}: ${STATUSES[endOf(call) || 'unknown'].word}.`;
}
