// One request through the proxy, from this browser: sent, watched while it is answered, stopped.
import { onScopeDispose, shallowRef } from 'vue'
import { answerText, parseJson } from './answerText'
import { parseHeaders, type Draft } from './presets'
import { eventReader, type StreamEvent } from './sse'

/** Beyond, what comes is counted but not shown. */
const SHOWN_CHARACTERS_MAX = 1_000_000

/** Answers of the gateway itself, as docs/API.md lists them; all else is the upstream's. */
export const OWN_CODES = ['BAD_REQUEST', 'UNAUTHORIZED', 'NOT_FOUND', 'PAYLOAD_TOO_LARGE', 'TOO_MANY_REQUESTS', 'NO_KEYS_AVAILABLE', 'INTERNAL_SERVER_ERROR', 'UPSTREAM_ERROR'] as const
export type OwnCode = (typeof OWN_CODES)[number]

export interface Exchange {
  state: 'waiting' | 'receiving' | 'done' | 'stopped' | 'failed'
  method: string
  path: string
  status: number | null
  statusText: string
  headers: [string, string][]
  requestId: string | null
  contentType: string
  /** From sending to the first byte of the body, and to the last. */
  firstByteMs: number | null
  totalMs: number | null
  bytes: number
  body: string
  /** It is longer than what is shown. */
  isCut: boolean
  /** `null`: it is no stream of events. */
  events: StreamEvent[] | null
  said: string
  ownCode: OwnCode | null
}

const isReadable = (contentType: string) => contentType === '' || /json|text|xml|event-stream|javascript|x-www-form/i.test(contentType)

export function useExchange(now: () => number = () => performance.now()) {
  const exchange = shallowRef<Exchange | null>(null)
  let running: AbortController | null = null

  function stop(): void {
    running?.abort()
  }
  onScopeDispose(stop)

  async function send(endpoint: string, draft: Draft, credential: Record<string, string>): Promise<void> {
    stop()
    const own = (running = new AbortController())
    const began = now()
    let state: Exchange = { state: 'waiting', method: draft.method, path: draft.path, status: null, statusText: '', headers: [], requestId: null, contentType: '', firstByteMs: null, totalMs: null, bytes: 0, body: '', isCut: false, events: null, said: '', ownCode: null }
    // A later request must not be overwritten by what is left of this one.
    const show = (change: Partial<Exchange>): void => {
      state = { ...state, ...change }
      if (running === own) exchange.value = state
    }
    show({})

    try {
      const response = await fetch(endpoint + draft.path, {
        method: draft.method,
        headers: [...Object.entries(credential), ...(parseHeaders(draft.headers) ?? [])],
        body: draft.method === 'GET' || draft.body === '' ? undefined : draft.body,
        signal: own.signal,
        credentials: 'omit',
        cache: 'no-store',
        redirect: 'manual',
      })
      const contentType = response.headers.get('Content-Type') ?? ''
      const isStream = /event-stream/i.test(contentType)
      show({
        state: 'receiving',
        status: response.type === 'opaqueredirect' ? null : response.status,
        statusText: response.statusText,
        headers: [...response.headers],
        requestId: response.headers.get('X-Gpt-Load-Request-Id'),
        contentType,
        events: isStream ? [] : null,
      })
      await read(response, isStream)
      const json = isStream ? undefined : parseJson(state.body)
      show({ state: 'done', firstByteMs: state.firstByteMs ?? now() - began, totalMs: now() - began, said: isStream ? state.said : answerText(json), ownCode: ownCodeOf(json, state.status) })
    } catch (error) {
      show({ state: own.signal.aborted ? 'stopped' : 'failed', totalMs: now() - began, statusText: own.signal.aborted ? '' : (error as Error).message })
    }

    async function read(response: Response, isStream: boolean): Promise<void> {
      const reader = response.body?.getReader()
      const decoder = new TextDecoder()
      const events = eventReader()
      const readable = isReadable(state.contentType)
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
        if (done) return
        const piece = readable ? decoder.decode(value, { stream: true }) : ''
        const room = SHOWN_CHARACTERS_MAX - state.body.length
        const found = isStream && room > 0 ? events(piece) : []
        show({
          firstByteMs: state.firstByteMs ?? now() - began,
          bytes: state.bytes + value.byteLength,
          body: state.body + piece.slice(0, room),
          isCut: state.isCut || piece.length > room,
          events: found.length > 0 ? [...(state.events ?? []), ...found] : state.events,
          said: state.said + found.map(({ data }) => answerText(parseJson(data))).join(''),
        })
      }
    }
  }

  return { exchange, send, stop }
}

function ownCodeOf(json: unknown, status: number | null): OwnCode | null {
  if (status === null || status < 400) return null
  const code = (json as { code?: unknown } | null | undefined)?.code
  return OWN_CODES.find((own) => own === code) ?? null
}
