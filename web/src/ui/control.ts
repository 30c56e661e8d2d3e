// How every field that one types into looks.
export const CONTROL =
  'w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 text-base text-ink transition-colors ' +
  'hover:border-muted focus-visible:border-accent focus-visible:outline-2 focus-visible:outline-offset-0 ' +
  'aria-invalid:border-critical disabled:cursor-not-allowed disabled:bg-sunken disabled:text-muted'
