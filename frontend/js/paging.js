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

// page(): the part of the state that holds the list. read(cursor, signal): answers { rows, cursor }.
// changed(): tells the views.
export function createPager({ page, read, changed }) {
  let asked = null;

  async function load(more) {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    const into = page();
    into.loading = true;
    changed();
    try {
      const { rows, cursor } = await read(more ? into.cursor : null, mine.signal);
      if (mine.signal.aborted) return;
      const ids = new Set(rows.map((row) => row.id));
      // An event may have told of a row after the server read it.
      const fresh = rows.map((row) => {
        const known = into.list.find((one) => one.id === row.id);
        return known && isOlder(row, known) ? known : row;
      });
      Object.assign(into, {
        list: more ? [...into.list.filter((row) => !ids.has(row.id)), ...fresh] : fresh,
        cursor: cursor || null,
        loaded: true,
        problem: null,
      });
    } catch (problem) {
      if (problem.name === 'AbortError' || mine.signal.aborted) return;
      into.problem = problem;
    }
    into.loading = false;
    changed();
  }

  return {
    first: () => load(false),
    async more() {
      if (page().cursor && !page().loading) await load(true);
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
