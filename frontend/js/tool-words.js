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
};

export const EFFECTS = {
  read: { label: 'only looks', title: 'This tool changes nothing.' },
  write: { label: 'changes things', title: 'This tool may change what Mira keeps for you.' },
  outside: { label: 'reaches outside', title: 'This tool reaches beyond Mira: the network or another program.' },
};

export const STATUSES = {
  working: { icon: 'auto', word: 'at work' },
  unknown: { icon: 'unsure', word: 'no result' },
  ok: { icon: 'check', word: 'done' },
  failed: { icon: 'close', word: 'failed' },
  denied: { icon: 'no', word: 'not allowed' },
  unavailable: { icon: 'off', word: 'not available' },
};

const spaced = (name) => name.replaceAll('_', ' ').replaceAll('-', ' ');

export function toolWords(tool) {
  return TOOLS[tool] || { icon: 'tool', name: spaced(tool || 'a tool'), doing: `uses ${spaced(tool || 'a tool')}` };
}

// What a call is about, in a few words; empty where it does not say.
export function subjectOf(call) {
  const { subject } = toolWords(call.tool);
  const value = subject && call.arguments && typeof call.arguments === 'object' ? call.arguments[subject] : null;
  if (typeof value === 'string' && value) return value;
  return typeof call.data?.name === 'string' ? call.data.name : '';
}

// For screen readers.
export const callAnnounced = (call) => `${toolWords(call.tool).doing}.`;

export function resultAnnounced(call) {
  return call.status === 'ok' ? null : `${toolWords(call.tool).name}: ${(STATUSES[call.status] || STATUSES.unknown).word}.`;
}
