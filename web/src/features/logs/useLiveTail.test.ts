// Following the log.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref, type EffectScope } from 'vue'
import { ApiError } from '@/api/client'
import type { ServerEvent } from '@/api/events'
import type { LogFilter } from '@/api/logs'
import { testEntry } from './testing'
import { useLiveTail } from './useLiveTail'

const OPEN: ServerEvent = { name: 'open', data: '{}', id: null }
const entry = (id: string): ServerEvent => ({ name: 'entry', data: JSON.stringify(testEntry({ id })), id })

let scope: EffectScope

beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

/** Streams that play what they are told, one after the other; the last one stays open. */
function tail(streams: (readonly ServerEvent[] | Error)[]) {
  const asked: { filter: LogFilter; lastId: string | null; signal: AbortSignal }[] = []
  const seen: string[][] = []
  const missed: number[] = []
  const filter = ref<LogFilter>({})
  const isOn = ref(true)
  const onOpen = vi.fn()
  async function* open(wanted: LogFilter, signal: AbortSignal, lastId: string | null): AsyncGenerator<ServerEvent> {
    const play = streams[asked.length]
    asked.push({ filter: wanted, lastId, signal })
    if (play instanceof Error) throw play
    yield* play ?? []
    if (asked.length >= streams.length) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
  const { state } = scope.run(() => useLiveTail({ filter, isOn, open, onOpen, onEntries: (entries) => seen.push(entries.map(({ id }) => id)), onMissed: (count) => missed.push(count) })) ?? {}
  return { asked, seen, missed, filter, isOn, onOpen, state }
}

const settle = async () => {
  await nextTick()
  await vi.advanceTimersByTimeAsync(0)
}

describe('entries', () => {
  it('come in lots, in their order', async () => {
    const { seen, state, onOpen } = tail([[OPEN, entry('a'), entry('b')]])
    await settle()
    expect(state?.value.kind).toBe('open')
    expect(onOpen).toHaveBeenCalledOnce()
    expect(seen).toEqual([])
    await vi.advanceTimersByTimeAsync(250)
    expect(seen).toEqual([['a', 'b']])
  })

  it('that were missed are counted', async () => {
    const { missed } = tail([[OPEN, { name: 'missed', data: '{"count":17}', id: null }]])
    await settle()
    expect(missed).toEqual([17])
  })
})

describe('a stream that ends', () => {
  it('comes back behind the last entry that was seen', async () => {
    const { asked, state, onOpen } = tail([[OPEN, entry('a')], [OPEN]])
    await settle()
    expect(state?.value.kind).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(asked.map(({ lastId }) => lastId)).toEqual([null, 'a'])
    expect(state?.value.kind).toBe('open')
    expect(onOpen).toHaveBeenCalledTimes(2)
  })

  it('waits longer after each try in vain, and as long as it is told', async () => {
    const { asked } = tail([new ApiError(0, 'UNREACHABLE', ''), new ApiError(0, 'UNREACHABLE', ''), new ApiError(503, 'TOO_MANY_REQUESTS', '', 9), []])
    await settle()
    await vi.advanceTimersByTimeAsync(999)
    expect(asked.length).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked.length).toBe(2)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(asked.length).toBe(3)
    await vi.advanceTimersByTimeAsync(8_999)
    expect(asked.length).toBe(3)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked.length).toBe(4)
  })

  it('stays away where the session is over', async () => {
    const { asked } = tail([new ApiError(401, 'UNAUTHORIZED', ''), []])
    await settle()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(asked.length).toBe(1)
  })
})

describe('what is followed', () => {
  it('changes with the filter, from the next entry on', async () => {
    const { asked, filter } = tail([[OPEN, entry('a')], [OPEN]])
    await settle()
    filter.value = { model: 'x' }
    await settle()
    expect(asked.at(-1)).toMatchObject({ filter: { model: 'x' }, lastId: null })
    expect(asked[0]?.signal.aborted).toBe(true)
  })

  it('is nothing where it is switched off', async () => {
    const { asked, isOn, state } = tail([[OPEN]])
    await settle()
    isOn.value = false
    await settle()
    expect(asked[0]?.signal.aborted).toBe(true)
    expect(state?.value.kind).toBe('off')
  })
})
