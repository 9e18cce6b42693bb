// What is in a fetched repository and nowhere else, asked about before it goes.

import { plural } from '../memory-state.js';
import { confirmed } from './confirm.js';

const MOST = 1000; // the server counts no further

const counted = (count, one, many) => (count >= MOST ? `${MOST} ${many} or more` : plural(count, one, many));

// The names the server tells, and how many more there are.
const named = (names, count) => [names.join(', '), count > names.length ? `${count - names.length} more` : null].filter(Boolean).join(' and ');

// One repository's losses, as a line.
function lossWords({ repo_url: url, unpushed_commits: commits, changed_files: files, stashes, error, ...refs }) {
  if (error) return `${url}: nobody can tell what is in it (${error})`;
  const on = refs.branch_count > 0 ? ` on ${named(refs.branches, refs.branch_count)}` : '';
  const lost = [
    commits > 0 ? `${counted(commits, 'commit', 'commits')} never pushed${on}` : null,
    files > 0 ? `${counted(files, 'changed file', 'changed files')} in no commit` : null,
    stashes > 0 ? plural(stashes, 'stash', 'stashes') : null,
    refs.tag_count > 0 ? `${refs.tag_count === 1 ? 'the tag' : 'the tags'} ${named(refs.tags, refs.tag_count)}` : null,
    refs.ref_count > 0 ? named(refs.refs, refs.ref_count) : null,
  ].filter(Boolean);
  return `${url}: ${lost.join('; ')}`;
}

// Asks, and removes on a yes; answers whether it is gone. look() reads what would go, with `unpublished`; words(it)
// says the rest. What came in between is asked about again.
export async function askToRemove({ look, words, title, action, remove }) {
  for (;;) {
    const found = await look();
    const losses = (found.unpublished || []).map(lossWords);
    if (!(await confirmed({ title, text: words(found), losses, action }))) return false;
    try {
      await remove(losses.length > 0);
      return true;
    } catch (problem) {
      if (problem.type !== 'urn:mira:problem:unpublished') throw problem;
    }
  }
}
