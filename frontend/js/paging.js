// Lists that are read page by page: the newest question wins, and an answer that comes late is dropped.

export function emptyPage(more = {}) {
  return {
    list: [],
    cursor: null,
    loaded: false,
    loading: false,
    problem: null,
    ...more,
  };
}

// Reads from a cursor on, one page or as many as hold `least` rows. read(cursor): answers { rows, cursor }.
export async function readPages(read, { cursor = null, least = 0 } = {}) {
  const rows = [];
  let next = cursor;
  do {
    const page = await read(next);
    rows.push(...page.rows);
    next = page.cursor || null;
  } while (next && rows.length < least);
  return { rows, cursor: next };
}

// What was read, where events told of rows while it was: `before` is the list as it stood at the question, `now` as it
// stands at the answer.
export function caughtUp(before, now, rows) {
  const [stood, stands] = [before, now].map((list) => new Map(list.map((row) => [row.id, row])));
  const read = new Set(rows.map((row) => row.id));
  const told = now.filter((row) => !stood.has(row.id) && !read.has(row.id));
  const there = rows.filter((row) => !stood.has(row.id) || stands.has(row.id));
  return [...told, ...there.map((row) => (stands.has(row.id) && isOlder(row, stands.get(row.id)) ? stands.get(row.id) : row))];
}

// page(): the part of the state that holds the list. read(cursor, signal): answers { rows, cursor }.
// changed(): tells the views.
export function createPager({ page, read, changed }) {
  let asked = null;
  let catchingUp = null;
  let goesOn = false; // whether the next page is under way

  // before: what a row read now may take the place of; nothing where the list goes on.
  async function load({ cursor = null, before = page().list, least = 0, quiet = false } = {}) {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    const into = page();
    goesOn = cursor !== null;
    if (!quiet) {
      into.loading = true;
      changed();
    }
    try {
      const answer = await readPages((from) => read(from, mine.signal), { cursor, least });
      if (mine.signal.aborted) return;
      Object.assign(into, { list: caughtUp(before, into.list, answer.rows), cursor: answer.cursor, loaded: true, problem: null });
    } catch (problem) {
      if (problem.name === 'AbortError' || mine.signal.aborted) return;
      if (!quiet) into.problem = problem;
    }
    into.loading = false;
    changed();
  }

  return {
    first: () => load(),
    async more() {
      await catchingUp;
      if (page().cursor && !page().loading) await load({ cursor: page().cursor, before: [] });
    },
    // After a gap in the events. What is on screen is read anew, all of it, and stays there meanwhile; what is not,
    // once it is looked at.
    async again({ shown = true } = {}) {
      const { list, loaded, loading } = page();
      if (!shown) page().loaded = false;
      else if (!loaded) await load();
      else await (catchingUp = load({ least: list.length + Number(loading && goesOn), quiet: true }));
    },
    drop() {
      asked?.abort();
      asked = null;
    },
  };
}

// Whether a row tells of a time before what is known: an answer that was overtaken by an event.
const isOlder = (row, known) => Date.parse(row.updated_at) < Date.parse(known.updated_at);

// A row was made, changed or read again: it takes its place, a new one stands first.
export function upsert(page, row) {
  const at = page.list.findIndex((known) => known.id === row.id);
  if (at >= 0 && isOlder(row, page.list[at])) return;
  page.list = at >= 0 ? page.list.with(at, { ...page.list[at], ...row }) : [row, ...page.list];
}

export function without(page, id) {
  page.list = page.list.filter((row) => row.id !== id);
}
