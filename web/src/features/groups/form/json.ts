// Checks JSON as it is typed, and says where the first fault stands: browsers tell that each in their own way, or not at all.

export type JsonFault = 'end' | 'value' | 'string' | 'escape' | 'number' | 'key' | 'colon' | 'comma' | 'trailing' | 'rest' | 'duplicate' | 'deep'

export interface JsonProblem {
  fault: JsonFault
  /** From 1. */
  line: number
  column: number
  /** What stands there, or the key that is there twice. */
  found: string
}

/** As deep as the server reads. */
const DEPTH_MAX = 120

class Fault extends Error {
  constructor(
    readonly fault: JsonFault,
    readonly at: number,
    readonly found: string | null = null,
  ) {
    super(fault)
  }
}

/** `null`: it is JSON, and no object in it has a key twice. */
export function jsonProblem(text: string): JsonProblem | null {
  let at = 0

  const skip = () => {
    while (/[ \t\n\r]/.test(text[at] ?? '')) at++
  }
  const fail = (fault: JsonFault, position = at): never => {
    throw new Fault(position >= text.length && fault !== 'duplicate' ? 'end' : fault, position)
  }

  function string(fault: JsonFault): string {
    if (text[at] !== '"') fail(fault)
    const start = at++
    for (;;) {
      const sign = text[at]
      if (sign === undefined) return fail('end')
      if (sign === '"') {
        at++
        return JSON.parse(text.slice(start, at)) as string
      }
      if (sign < ' ') fail('string', start)
      if (sign === '\\') {
        if (!/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) fail('escape')
        at += text[at + 1] === 'u' ? 6 : 2
      } else at++
    }
  }

  function value(depth: number): void {
    if (depth > DEPTH_MAX) fail('deep')
    skip()
    const sign = text[at]
    if (sign === '{') return object(depth)
    if (sign === '[') return list(depth)
    if (sign === '"') return void string('value')
    const word = /^(?:true|false|null)(?![\w])/.exec(text.slice(at, at + 6))
    if (word) {
      at += word[0].length
      return
    }
    if (sign !== undefined && /[-\d]/.test(sign)) {
      const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.+-])/.exec(text.slice(at))
      if (!number) return fail('number')
      at += number[0].length
      return
    }
    fail('value')
  }

  function object(depth: number): void {
    const keys = new Set<string>()
    at++
    skip()
    if (text[at] === '}') {
      at++
      return
    }
    for (;;) {
      skip()
      const start = at
      const key = string(keys.size > 0 && text[at] === '}' ? 'trailing' : 'key')
      if (keys.has(key)) throw new Fault('duplicate', start, key)
      keys.add(key)
      skip()
      if (text[at] !== ':') fail('colon')
      at++
      value(depth + 1)
      skip()
      if (text[at] === '}') {
        at++
        return
      }
      if (text[at] !== ',') fail('comma')
      at++
    }
  }

  function list(depth: number): void {
    at++
    skip()
    if (text[at] === ']') {
      at++
      return
    }
    for (;;) {
      skip()
      if (text[at] === ']') fail('trailing')
      value(depth + 1)
      skip()
      if (text[at] === ']') {
        at++
        return
      }
      if (text[at] !== ',') fail('comma')
      at++
    }
  }

  try {
    value(0)
    skip()
    if (at < text.length) fail('rest')
    return null
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const before = text.slice(0, error.at)
    const line = before.split('\n').length
    return {
      fault: error.fault,
      line,
      column: error.at - (before.lastIndexOf('\n') + 1) + 1,
      found: error.found ?? text[error.at] ?? '',
    }
  }
}
