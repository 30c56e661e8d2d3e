// Model redirects as one types them: a table, the same as JSON, and what becomes of a model that a client asks for.
import { jsonProblem, type JsonProblem } from './json'

export interface RedirectDraft {
  source: string
  target: string
}

export type RedirectProblem = 'source' | 'target' | 'duplicate'
export type RedirectHint = 'same' | 'shadowed' | 'chain' | 'blanks'

export function isBlankRedirect(rule: RedirectDraft): boolean {
  return rule.source.trim() === '' && rule.target.trim() === ''
}

export function redirectProblem(rules: readonly RedirectDraft[], index: number): RedirectProblem | null {
  const rule = rules[index]
  if (!rule || isBlankRedirect(rule)) return null
  if (rule.source.trim() === '') return 'source'
  if (rule.target.trim() === '') return 'target'
  return rules.some((other, at) => at !== index && other.source === rule.source) ? 'duplicate' : null
}

/** Gemini calls a model `models/x` in its lists and `x` in its addresses. */
function nameOf(model: string, channel: string): string {
  return channel === 'gemini' ? model.replace(/^models\//, '') : model
}

/** In the order in which the server looks: by the bytes of the source. */
function inOrder(rules: readonly RedirectDraft[]): RedirectDraft[] {
  const encoder = new TextEncoder()
  const compare = (a: Uint8Array, b: Uint8Array) => {
    for (let index = 0; index < Math.min(a.length, b.length); index++) if (a[index] !== b[index]) return (a[index] ?? 0) - (b[index] ?? 0)
    return a.length - b.length
  }
  return rules
    .filter((rule) => !isBlankRedirect(rule))
    .map((rule) => ({ rule, bytes: encoder.encode(rule.source) }))
    .sort((a, b) => compare(a.bytes, b.bytes))
    .map(({ rule }) => rule)
}

function firstFor(model: string, rules: readonly RedirectDraft[], channel: string): RedirectDraft | undefined {
  return inOrder(rules).find((rule) => rule.source === model || nameOf(rule.source, channel) === nameOf(model, channel))
}

export function redirectHint(rules: readonly RedirectDraft[], index: number, channel: string): RedirectHint | null {
  const rule = rules[index]
  if (!rule || isBlankRedirect(rule) || redirectProblem(rules, index)) return null
  if (rule.source !== rule.source.trim() || rule.target !== rule.target.trim()) return 'blanks'
  if (firstFor(rule.source, rules, channel) !== rule) return 'shadowed'
  if (nameOf(rule.source, channel) === nameOf(rule.target, channel)) return 'same'
  return firstFor(rule.target, rules, channel) ? 'chain' : null
}

export type Outcome = { kind: 'redirected'; target: string } | { kind: 'passed' } | { kind: 'refused' }

/** What becomes of a model that a client asks for; one step only, what comes out is not looked up again. */
export function tryModel(model: string, rules: readonly RedirectDraft[], isStrict: boolean, channel: string): Outcome {
  const rule = firstFor(model.trim(), rules, channel)
  if (rule) return { kind: 'redirected', target: rule.target }
  return { kind: isStrict ? 'refused' : 'passed' }
}

export function redirectMap(rules: readonly RedirectDraft[]): Record<string, string> {
  return Object.fromEntries(rules.filter((rule) => !isBlankRedirect(rule)).map((rule) => [rule.source, rule.target]))
}

export function redirectRows(map: Record<string, string> | null): RedirectDraft[] {
  return Object.entries(map ?? {}).map(([source, target]) => ({ source, target }))
}

export type RawProblem = JsonProblem | 'not_object' | { key: string }

/** The table out of JSON; or what is wrong with it. */
export function readRedirects(text: string): { rows: RedirectDraft[] } | { problem: RawProblem } {
  if (text.trim() === '') return { rows: [] }
  const problem = jsonProblem(text)
  if (problem) return { problem }
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { problem: 'not_object' }
  const wrong = Object.entries(value).find(([source, target]) => typeof target !== 'string' || !source.trim() || !target.trim())
  if (wrong) return { problem: { key: wrong[0] } }
  return { rows: redirectRows(value as Record<string, string>) }
}
