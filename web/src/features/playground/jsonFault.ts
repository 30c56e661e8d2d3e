// Where a JSON text breaks off. The browsers' own parsers do not tell, or each in its own words.

const BLANKS = /[ \t\n\r]*/y
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const PLAIN = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

class Fault extends Error {}

/** Line and column, from 1, of the first character that cannot stand there; `null`: it is fine, or there is nothing. */
export function jsonFault(text: string): { line: number; column: number } | null {
  if (text.trim() === '') return null
  let at = 0

  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const isThere = pattern.test(text)
    if (isThere) at = pattern.lastIndex
    return isThere
  }
  const takeSign = (sign: string): boolean => {
    take(BLANKS)
    if (text[at] !== sign) return false
    at += 1
    return true
  }
  const need = (isThere: boolean): void => {
    if (!isThere) throw new Fault()
  }
  const items = (end: string, item: () => void): void => {
    if (takeSign(end)) return
    do item()
    while (takeSign(','))
    need(takeSign(end))
  }
  const value = (): void => {
    if (takeSign('{')) {
      items('}', () => {
        take(BLANKS)
        need(take(STRING))
        need(takeSign(':'))
        value()
      })
    } else if (takeSign('[')) items(']', value)
    else need(take(STRING) || take(PLAIN))
  }

  try {
    value()
    take(BLANKS)
    need(at === text.length)
    return null
  } catch (error) {
    // What is nested too deeply for us is for the server to judge.
    if (!(error instanceof Fault)) return null
    const before = text.slice(0, at).split('\n')
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
  }
}
