// A conversation as Markdown, along the branch that is shown, for the owner to keep elsewhere.

import { api } from './api.js';
import { h } from './dom.js';
import { isOwn } from './timeline.js';
import { readPages } from './paging.js';

const PAGE = 200;

// The history comes newest page first, each page in order.
async function wholeHistory(sessionId) {
  const { rows: pages } = await readPages(async (cursor) => {
    const page = await api.history({ session_id: sessionId, limit: PAGE, cursor });
    return { rows: [page.messages], cursor: page.next_cursor };
  }, { least: Infinity });
  return pages.reverse().flat();
}

const stamp = (time) => new Date(time).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'short' });

function entry(message) {
  const who = isOwn(message) ? 'You' : `Mira${message.mood ? ` (${message.mood})` : ''}`;
  const files = (message.files || []).map(({ name }) => `*${name}*`).join(', ');
  return [`**${who}**, ${stamp(message.created_at)}`, files, message.status === 'forgotten' ? '*forgotten*' : message.content].filter(Boolean).join('\n\n');
}

export async function saveTranscript(sessionId, title) {
  const messages = await wholeHistory(sessionId);
  const text = [`# ${title}`, ...messages.map(entry)].join('\n\n---\n\n');
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/markdown' }));
  h('a', { href: url, download: `${title.replaceAll(/[^\p{L}\p{N}._-]+/gu, ' ').trim().slice(0, 80) || 'conversation'}.md` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
