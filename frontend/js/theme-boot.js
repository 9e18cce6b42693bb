// Applies the stored theme before the first paint. A classic script on purpose: a module would run
// after the page has already flashed in the wrong colours.
(function () {
  const root = document.documentElement;
  // The browser's own bar is coloured as the page is, also where that is not the system's way.
  function colourBar() {
    for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
      const { scheme } = meta.dataset;
      const chosen = root.dataset.theme === scheme ? 'all' : 'not all';
      meta.media = root.dataset.theme ? chosen : `(prefers-color-scheme: ${scheme})`;
    }
  }
  try {
    const theme = localStorage.getItem('mira.theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  } catch {
    // Storage is refused: the system's preference stands.
  }
  colourBar();
  new MutationObserver(colourBar).observe(root, { attributeFilter: ['data-theme'] });
})();
