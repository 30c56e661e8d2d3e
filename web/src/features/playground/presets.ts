// Requests that one begins with, by API format, and what a request needs to be sent.

export type PresetName = 'chat' | 'responses' | 'messages' | 'generate' | 'embeddings' | 'models' | 'free'

export interface Draft {
  method: string
  /** Behind the group's endpoint, with its query. */
  path: string
  /** Name: value, one a line; the credential is not among them. */
  headers: string
  body: string
}

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

const OF_CHANNELS: Record<string, readonly PresetName[]> = {
  openai: ['chat', 'responses', 'embeddings', 'models', 'free'],
  'openai-response': ['responses', 'chat', 'embeddings', 'models', 'free'],
  anthropic: ['messages', 'models', 'free'],
  gemini: ['generate', 'embeddings', 'models', 'free'],
}

export function presetsOf(channel: string): readonly PresetName[] {
  return OF_CHANNELS[channel] ?? ['free']
}

export function canStream(preset: PresetName): boolean {
  return preset !== 'embeddings' && preset !== 'models' && preset !== 'free'
}

export interface Wanted {
  channel: string
  preset: PresetName
  model: string
  isStreamed: boolean
  /** What is said to the model. */
  prompt: string
}

const JSON_HEADERS = 'Content-Type: application/json'

export function draftOf({ channel, preset, model, isStreamed, prompt }: Wanted): Draft {
  const post = (path: string, body: object): Draft => ({ method: 'POST', path, headers: JSON_HEADERS, body: JSON.stringify(body, null, 2) })
  const stream = isStreamed ? { stream: true } : {}
  const messages = [{ role: 'user', content: prompt }]
  const geminiModel = `/v1beta/models/${encodeURIComponent(model.replace(/^models\//, ''))}`
  switch (preset) {
    case 'chat':
      return post('/v1/chat/completions', { model, ...stream, messages })
    case 'responses':
      return post('/v1/responses', { model, ...stream, input: prompt })
    case 'messages':
      return post('/v1/messages', { model, max_tokens: 1024, ...stream, messages })
    case 'generate':
      return post(`${geminiModel}:${isStreamed ? 'streamGenerateContent?alt=sse' : 'generateContent'}`, { contents: [{ role: 'user', parts: [{ text: prompt }] }] })
    case 'embeddings':
      return channel === 'gemini' ? post(`${geminiModel}:embedContent`, { content: { parts: [{ text: prompt }] } }) : post('/v1/embeddings', { model, input: prompt })
    case 'models':
      return { method: 'GET', path: modelsPath(channel), headers: '', body: '' }
    case 'free':
      return { method: 'POST', path: '/', headers: JSON_HEADERS, body: '' }
  }
}

export function modelsPath(channel: string): string {
  return channel === 'gemini' ? '/v1beta/models' : '/v1/models'
}

/** The names in a list of models, in whichever format it is. */
export function modelNames(json: unknown): string[] {
  const answer = json as { data?: unknown; models?: unknown } | null | undefined
  const items = [answer?.data, answer?.models].find(Array.isArray) as { id?: unknown; name?: unknown }[] | undefined
  const names = (items ?? []).map((item) => (typeof item.id === 'string' ? item.id : typeof item.name === 'string' ? item.name.replace(/^models\//, '') : ''))
  return [...new Set(names.filter(Boolean))].sort((one, other) => one.localeCompare(other))
}

/** `null`: a line is no header. */
export function parseHeaders(text: string): [string, string][] | null {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
  const headers = lines.map((line) => /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/.exec(line))
  return headers.some((header) => header === null) ? null : headers.map((header) => [header?.[1] ?? '', header?.[2] ?? ''])
}

/** The same request with another model or the other way to answer, where it was edited by hand; a body that says neither stays. */
export function withChanged(draft: Draft, change: { model?: string; isStreamed?: boolean }): Draft {
  let body: unknown
  try {
    body = JSON.parse(draft.body)
  } catch {
    return draft
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('model' in body)) return draft
  const { stream: _, ...others } = body as Record<string, unknown>
  const isStreamed = change.isStreamed ?? (body as { stream?: unknown }).stream === true
  const { model, ...rest } = { ...others, ...(change.model === undefined ? {} : { model: change.model }) } as Record<string, unknown>
  return { ...draft, body: JSON.stringify({ model, ...(isStreamed ? { stream: true } : {}), ...rest }, null, 2) }
}

/** For a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** @param credential the headers that show the proxy key, or a variable in its place. */
export function curlOf(draft: Draft, endpoint: string, credential: Record<string, string>): string {
  const headers = [...Object.entries(credential), ...(parseHeaders(draft.headers) ?? [])]
  return [
    `curl ${draft.method === 'GET' || draft.method === 'POST' ? '' : `-X ${draft.method} `}${quoted(endpoint + draft.path)}`,
    ...headers.map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)}`),
    ...(draft.method !== 'GET' && draft.body !== '' ? [`  --data-binary ${quoted(draft.body)}`] : draft.method === 'POST' ? ['  -X POST'] : []),
  ].join(' \\\n')
}

/** A logged path is `/proxy/<group>/…`, with credentials struck out; what stands behind the group is sent again. */
export function pathOfEntry(path: string): string {
  const below = /^\/proxy\/[^/?]+(\/[^?]*)?(\?.*)?$/.exec(path)
  const query = new URLSearchParams(below?.[2] ?? '')
  query.delete('key')
  return `${below?.[1] ?? '/'}${query.size > 0 ? `?${query}` : ''}`
}
