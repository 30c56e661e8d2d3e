// Puts the chosen theme on the page before it is painted. The console itself does the rest (src/composables/useTheme.ts).
try {
  var theme = localStorage.getItem('gpt-load.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch (_) {
  // No storage: the system's theme is shown.
}
