// Where to go after the log-in: only to addresses of our own, whatever a link asks for.

/** `/` for everything that leads elsewhere, or back to the log-in. */
export function ownPath(wanted: unknown, origin: string = location.origin): string {
  if (typeof wanted !== 'string' || !wanted.startsWith('/')) return '/'
  let url: URL
  try {
    // The browser's own reading: it knows that `/\host` and `/<tab>/host` are other hosts.
    url = new URL(wanted, origin)
  } catch {
    return '/'
  }
  if (url.origin !== origin || url.pathname === '/login') return '/'
  // Read again on its own, a path that begins with two slashes would be a host.
  return url.pathname.startsWith('//') ? '/' : url.pathname + url.search + url.hash
}
