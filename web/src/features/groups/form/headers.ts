// Header rules as one types them: which name can be one, and which is there twice.

export interface HeaderDraft {
  key: string
  value: string
  /** `set` or `remove`; what a later version stored stays as it is. */
  action: string
}

/** What `${…}` in a value stands for. */
export const PLACEHOLDERS = ['CLIENT_IP', 'GROUP_NAME', 'API_KEY', 'TIMESTAMP_MS', 'TIMESTAMP_S'] as const

/** A rule on one of them would break the framing of requests. */
const CONNECTION_HEADERS = ['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']

export type HeaderProblem = 'name_required' | 'name' | 'connection' | 'duplicate' | 'value' | 'action'

export function isBlankHeader(rule: HeaderDraft): boolean {
  return rule.key.trim() === '' && rule.value.trim() === ''
}

export function headerProblem(rule: HeaderDraft, others: readonly HeaderDraft[]): HeaderProblem | null {
  if (isBlankHeader(rule)) return null
  const name = rule.key.trim().toLowerCase()
  if (!name) return 'name_required'
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) return 'name'
  if (CONNECTION_HEADERS.includes(name)) return 'connection'
  if (others.some((other) => other.key.trim().toLowerCase() === name)) return 'duplicate'
  if (rule.action !== 'set' && rule.action !== 'remove') return 'action'
  // Tabs may stand in a header, other control characters may not.
  if (rule.action === 'set' && /[\u0000-\u0008\u000a-\u001f\u007f]/.test(rule.value)) return 'value'
  return null
}

/** Placeholders that mean nothing: they would be sent as they stand. */
export function unknownPlaceholders(value: string): string[] {
  return [...value.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1] ?? '').filter((name) => !PLACEHOLDERS.some((known) => known === name))
}
