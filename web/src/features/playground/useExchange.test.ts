// What is told of a request while it is answered.
import { afterEach, expect, test, vi } from 'vitest'
import { effectScope } from 'vue'
import { useExchange } from './useExchange'

afterEach(() => void vi.unstubAllGlobals())

const DRAFT = { method: 'POST', path: '/v1/x', headers: 'X-A: 1', body: '{}' }

function playground() {
  let ms = 0
  const made = effectScope().run(() => useExchange(() => (ms += 10)))
  if (!made) throw new Error('no scope')
  return made
}

function answering(make: (signal: AbortSignal) => Promise<Response>) {
  const asked = vi.fn((_: string, init: RequestInit) => make(init.signal as AbortSignal))
  vi.stubGlobal('fetch', asked)
  return asked
}

function stream(pieces: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
      controller.close()
    },
  })
}

test('an answer is told with its status, its id, its times and what was said', async () => {
  const asked = answering(() => Promise.resolve(new Response(stream(['{"choices":[{"message":', '{"content":"hi"}}]}']), { status: 200, headers: { 'Content-Type': 'application/json', 'X-Gpt-Load-Request-Id': 'r-1' } })))
  const { exchange, send } = playground()
  await send('/proxy/g', DRAFT, { Authorization: 'Bearer k' })
  expect(asked.mock.calls[0]?.[0]).toBe('/proxy/g/v1/x')
  expect(asked.mock.calls[0]?.[1]).toMatchObject({ method: 'POST', credentials: 'omit', headers: [['Authorization', 'Bearer k'], ['X-A', '1']], body: '{}' })
  expect(exchange.value).toMatchObject({ state: 'done', status: 200, requestId: 'r-1', said: 'hi', bytes: 42, events: null, ownCode: null })
  expect(exchange.value?.firstByteMs).toBeLessThan(exchange.value?.totalMs ?? 0)
})

test('a stream is read event by event', async () => {
  answering(() => Promise.resolve(new Response(stream(['data: {"choices":[{"delta":{"content":"h"}}]}\n', '\ndata: {"choices":[{"delta":{"content":"i"}}]}\n\ndata: [DONE]\n\n']), { headers: { 'Content-Type': 'text/event-stream' } })))
  const { exchange, send } = playground()
  await send('/proxy/g', DRAFT, {})
  expect(exchange.value).toMatchObject({ state: 'done', said: 'hi' })
  expect(exchange.value?.events).toHaveLength(3)
})

test('an error of the gateway is told from one of the upstream', async () => {
  const bodies = ['{"code":"NO_KEYS_AVAILABLE","message":"…"}', '{"error":{"code":"rate_limited"}}']
  answering(() => Promise.resolve(new Response(bodies.shift(), { status: 503 })))
  const { exchange, send } = playground()
  await send('/proxy/g', DRAFT, {})
  expect(exchange.value?.ownCode).toBe('NO_KEYS_AVAILABLE')
  await send('/proxy/g', DRAFT, {})
  expect(exchange.value?.ownCode).toBeNull()
})

test('a stopped request is no failure, and a later one is not overwritten by it', async () => {
  answering((signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))))
  const { exchange, send, stop } = playground()
  const first = send('/proxy/g', DRAFT, {})
  const second = send('/proxy/g', { ...DRAFT, path: '/second' }, {})
  await first
  expect(exchange.value).toMatchObject({ path: '/second', state: 'waiting' })
  stop()
  await second
  expect(exchange.value).toMatchObject({ path: '/second', state: 'stopped' })
})

test('a request that gets no answer fails and says so', async () => {
  answering(() => Promise.reject(new TypeError('Failed to fetch')))
  const { exchange, send } = playground()
  await send('/proxy/g', DRAFT, {})
  expect(exchange.value).toMatchObject({ state: 'failed', status: null, statusText: 'Failed to fetch' })
})
