// Keys out of what people have: pasted text, lists, tables and exports. Each remembers where it stood, for the report.

export interface KeyList {
  keys: string[]
  /** The line of each in its source, from 1. */
  lines: number[]
}

export type SourceKind = 'text' | 'csv' | 'json'

export type SourceProblem = { reason: 'not_text' | 'too_large' | 'no_keys' } | { reason: 'broken_json'; detail: string } | { reason: 'not_keys'; line: number }

export class SourceError extends Error {
  constructor(readonly problem: SourceProblem) {
    super(problem.reason)
    this.name = 'SourceError'
  }
}

/** A larger file is no list of keys; the server takes up to 256 MiB in all. */
export const FILE_BYTES_MAX = 100 * 1024 * 1024

/** What divides keys in a text, as for the server. */
const SEPARATORS = /[\s,;]+/

/** Under these names tables and exports keep a key; the first one found counts. */
const KEY_NAMES = ['key', 'key_value', 'api_key', 'apikey', 'token', 'secret']

export function kindOf(fileName: string): SourceKind {
  if (/\.(json|jsonl|ndjson)$/i.test(fileName)) return 'json'
  return /\.(csv|tsv)$/i.test(fileName) ? 'csv' : 'text'
}

/**
 * @throws {SourceError} where it cannot be read as what it says to be.
 */
export function readKeys(text: string, kind: SourceKind): KeyList {
  const clean = text.replace(/^\uFEFF/, '')
  if (clean.includes('\u0000') || clean.includes('\uFFFD')) throw new SourceError({ reason: 'not_text' })
  if (kind === 'csv') return readTable(clean)
  const start = clean.trimStart()[0]
  if (kind === 'json' || start === '[') return readJson(clean)
  return readText(clean)
}

function readText(text: string): KeyList {
  const list: KeyList = { keys: [], lines: [] }
  eachLine(text, (line, number) => {
    for (const key of line.split(SEPARATORS)) if (key) add(list, key, number)
  })
  return list
}

function readJson(text: string): KeyList {
  const list: KeyList = { keys: [], lines: [] }
  if (text.trim() === '') return list
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return readJsonLines(text, error)
  }
  const items = Array.isArray(value) ? value : listIn(value)
  items.forEach((item, at) => add(list, keyIn(item, at + 1), at + 1))
  return list
}

/** `{"keys": […]}`, or one key as an object. */
function listIn(value: unknown): unknown[] {
  const inner = typeof value === 'object' && value !== null ? Object.values(value).find(Array.isArray) : undefined
  return (inner as unknown[] | undefined) ?? [value]
}

function readJsonLines(text: string, broken: unknown): KeyList {
  const list: KeyList = { keys: [], lines: [] }
  const isOneALine = text.trimStart().startsWith('{') || text.trimStart().startsWith('"')
  if (!isOneALine) throw new SourceError({ reason: 'broken_json', detail: String((broken as Error).message) })
  eachLine(text, (line, number) => {
    if (line.trim() === '') return
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (error) {
      throw new SourceError({ reason: 'broken_json', detail: String((error as Error).message) })
    }
    add(list, keyIn(value, number), number)
  })
  return list
}

function keyIn(item: unknown, line: number): string {
  if (typeof item === 'string') return item
  if (typeof item === 'object' && item !== null) {
    for (const name of KEY_NAMES) {
      const value = (item as Record<string, unknown>)[name]
      if (typeof value === 'string') return value
    }
  }
  throw new SourceError({ reason: 'not_keys', line })
}

/** A table with a head that names the column of the keys, or else with the keys in its first column. */
function readTable(text: string): KeyList {
  const list: KeyList = { keys: [], lines: [] }
  const separator = separatorOf(text)
  let column: number | null = null
  for (const { cells, line } of tableRows(text, separator)) {
    if (column === null) {
      const named = KEY_NAMES.map((name) => cells.findIndex((cell) => cell.trim().toLowerCase() === name)).find((at) => at >= 0)
      column = named ?? 0
      if (named !== undefined) continue
    }
    const key = (cells[column] ?? '').trim()
    if (key) add(list, key, line)
  }
  return list
}

function separatorOf(text: string): string {
  const head = text.slice(0, text.search(/[\r\n]|$/))
  return ['\t', ';', ','].find((sign) => head.includes(sign)) ?? ','
}

function* tableRows(text: string, separator: string): Generator<{ cells: string[]; line: number }> {
  let cells: string[] = []
  let cell = ''
  let isQuoted = false
  let line = 1
  let begin = 1
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (sign === '\n') line++
    if (isQuoted) {
      if (sign !== '"') cell += sign
      else if (text[at + 1] === '"') cell += text[++at]
      else isQuoted = false
    } else if (sign === '"' && cell === '') {
      isQuoted = true
    } else if (sign === separator) {
      cells.push(cell)
      cell = ''
    } else if (sign === '\n') {
      yield { cells: [...cells, cell], line: begin }
      cells = []
      cell = ''
      begin = line
    } else if (sign !== '\r') {
      cell += sign
    }
  }
  if (cell !== '' || cells.length > 0) yield { cells: [...cells, cell], line: begin }
}

function eachLine(text: string, take: (line: string, number: number) => void): void {
  let number = 0
  for (let from = 0; from <= text.length; ) {
    const end = text.indexOf('\n', from)
    take(text.slice(from, end < 0 ? text.length : end), ++number)
    if (end < 0) return
    from = end + 1
  }
}

function add(list: KeyList, key: string, line: number): void {
  list.keys.push(key)
  list.lines.push(line)
}

/** Keys as one text for the server: a line each, or a JSON list where a key holds what would divide it. */
export function keysText(keys: readonly string[]): string {
  return keys.some((key) => key === '' || SEPARATORS.test(key) || key.startsWith('[')) ? JSON.stringify(keys) : keys.join('\n')
}

export interface NamedKeys extends KeyList {
  /** Of the file; empty for what was pasted. */
  name: string
}

/** Where the key at a place of all sources together stands. `position` from 1. */
export function placeOf(sources: readonly NamedKeys[], position: number): { name: string; line: number } | null {
  let before = 0
  for (const { name, keys, lines } of sources) {
    const line = lines[position - 1 - before]
    if (line !== undefined) return { name, line }
    before += keys.length
  }
  return null
}

/** A cell that no table program takes for a formula. */
function cell(value: string | number): string {
  const text = String(value)
  const safe = /^[=+\-@]/.test(text) ? `'${text}` : text
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export function reportCsv(head: readonly string[], rows: readonly (string | number)[][]): string {
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n')
}
