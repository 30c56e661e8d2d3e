// The first request through a group, sent from here as a client would, and what the answer says.
import { credentialHeaders, firstRequest } from '@/features/groups/snippets'

export interface FirstAnswer {
  status: number
  isSuccess: boolean
  durationMs: number
  /** By which the request is found in the log. */
  requestId: string | null
  /** What the model said, or what was wrong; empty where the answer says neither. */
  text: string
}

/** After this time the wait is over; a first answer of a few words comes sooner. */
const WAIT_MAX_MS = 60_000

export interface FirstRequestTarget {
  name: string
  channel: string
  model: string
  testPath: string
  key: string
}

/** @throws where nobody answers. */
export async function sendFirstRequest(target: FirstRequestTarget, send: typeof fetch = fetch, now: () => number = () => performance.now()): Promise<FirstAnswer> {
  const { path, body } = firstRequest({ channel: target.channel, endpoint: '', model: target.model, testPath: target.testPath })
  const began = now()
  const response = await send(`/proxy/${encodeURIComponent(target.name)}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...credentialHeaders(target.channel, target.key) },
    body: JSON.stringify(body),
    // A client of the proxy is not signed in to the console.
    credentials: 'omit',
    signal: AbortSignal.timeout(WAIT_MAX_MS),
  })
  const text = await response.text()
  return {
    status: response.status,
    isSuccess: response.ok,
    durationMs: now() - began,
    requestId: response.headers.get('X-Gpt-Load-Request-Id'),
    text: response.ok ? answerText(text) : errorText(text),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

type Loose = { [name: string]: Loose | undefined } & { [index: number]: Loose | undefined }

function textsOf(list: unknown): string {
  return Array.isArray(list) ? list.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('') : ''
}

/** What the model said, in any of the formats. */
export function answerText(text: string): string {
  const answer = parsed(text) as Loose | null
  if (!answer || typeof answer !== 'object') return ''
  const said: unknown = answer.choices?.[0]?.message?.content ?? answer.output_text
  if (typeof said === 'string') return said
  const output: unknown = answer.output
  if (Array.isArray(output)) return output.map((item: { content?: unknown }) => textsOf(item?.content)).join('')
  return textsOf(answer.content) || textsOf(answer.candidates?.[0]?.content?.parts)
}

/** What was wrong, as the answer says it; a text that is none of ours is cut. */
export function errorText(text: string): string {
  const answer = parsed(text) as Loose | null
  const said: unknown = answer?.error?.message ?? answer?.message ?? answer?.error
  return typeof said === 'string' ? said : text.trim().slice(0, 500)
}
