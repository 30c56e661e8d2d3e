// What a copy of a group is called unless somebody says otherwise, and what a group may be called at all.

export const NAME_CHARACTERS_MAX = 100
export const DISPLAY_NAME_CHARACTERS_MAX = 255

export type NameProblem = 'required' | 'characters' | 'long' | 'taken'

/** What is wrong with a name; `null`: nothing. Surrounding blanks do not count, as on the server. */
export function nameProblem(typed: string, taken: readonly string[]): NameProblem | null {
  const name = typed.trim()
  if (!name) return 'required'
  if (!/^[a-z0-9_-]+$/.test(name)) return 'characters'
  if (name.length > NAME_CHARACTERS_MAX) return 'long'
  return taken.includes(name) ? 'taken' : null
}

/** A name out of any text, as far as it can be one. */
export function nameFrom(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, NAME_CHARACTERS_MAX)
}

/** The name itself where it is free, else the first free one of `team-2`, `team-3`, … */
export function firstFree(name: string, taken: readonly string[]): string {
  if (!taken.includes(name)) return name
  for (let number = 2; ; number++) if (!taken.includes(`${name}-${number}`)) return `${name}-${number}`
}

/** The first free one: `team-copy`, `team-copy-2`, … */
export function copyName(name: string, taken: readonly string[]): string {
  for (let number = 1; ; number++) {
    const ending = number === 1 ? '-copy' : `-copy-${number}`
    const candidate = name.slice(0, NAME_CHARACTERS_MAX - ending.length) + ending
    if (!taken.includes(candidate)) return candidate
  }
}
