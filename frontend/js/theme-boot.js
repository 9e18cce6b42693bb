// Applies the stored theme before the first paint. A classic script on purpose: a module would run
// after the page has already flashed in the wrong colours.
(function () {
  try {
    const theme = localStorage.getItem('mira.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is refused: the system's preference stands.
  }
})();
