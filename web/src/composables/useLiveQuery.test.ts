// Polling: it goes on by itself, rests where nobody looks or nobody answers, and knows how old its data is.
import { PiniaColada } from '@pinia/colada'
import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, ref } from 'vue'
import { useAutoRefresh } from './useAutoRefresh'
import { reportReached, reportUnreachable } from './useConnection'
import { useLiveQuery, type LiveQuery } from './useLiveQuery'

const EVERY_MS = 10_000

function show(query: () => Promise<string>, key = ref('a')) {
  let live!: LiveQuery<string>
  const page = mount(
    defineComponent({
      setup() {
        live = useLiveQuery(() => ({ key: ['live', key.value], query, staleTime: 0 }), EVERY_MS)
        return () => null
      },
    }),
    { global: { plugins: [createPinia(), [PiniaColada, {}]] } },
  )
  return { page, live }
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await flushPromises()
}

function hide(isHidden: boolean): void {
  Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true })
  Object.defineProperty(document, 'visibilityState', { value: isHidden ? 'hidden' : 'visible', configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))
}

beforeEach(() => void vi.useFakeTimers())

afterEach(() => {
  hide(false)
  reportReached()
  useAutoRefresh().resume()
  vi.useRealTimers()
})

describe('a live query', () => {
  it('asks again after each answer, until its page goes', async () => {
    const ask = vi.fn(async () => 'data')
    const { page } = show(ask)
    await pass(0)
    expect(ask).toHaveBeenCalledTimes(1)
    await pass(EVERY_MS)
    await pass(EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(3)
    page.unmount()
    await pass(5 * EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(3)
  })

  it('rests in a hidden tab and makes up for it when it is seen again', async () => {
    const ask = vi.fn(async () => 'data')
    const { page } = show(ask)
    await pass(0)
    hide(true)
    await pass(10 * EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(1)
    hide(false)
    await pass(1)
    expect(ask).toHaveBeenCalledTimes(2)
    page.unmount()
  })

  it('rests while the server is away, and while it is paused', async () => {
    const ask = vi.fn(async () => 'data')
    const { page } = show(ask)
    await pass(0)
    reportUnreachable()
    await pass(3 * EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(1)
    useAutoRefresh().pause()
    reportReached()
    await pass(3 * EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(1)
    useAutoRefresh().resume()
    await pass(1)
    expect(ask).toHaveBeenCalledTimes(2)
    page.unmount()
  })

  it('asks less often while it fails, keeps the data and its age', async () => {
    const ask = vi.fn(async (): Promise<string> => 'data')
    const { page, live } = show(ask)
    await pass(0)
    const came = live.updatedAt.value
    expect(came).toBe(Date.now())
    ask.mockRejectedValue(new Error('no'))
    await pass(EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(2)
    await pass(EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(2)
    await pass(EVERY_MS)
    expect(ask).toHaveBeenCalledTimes(3)
    expect(live.data.value).toBe('data')
    expect(live.updatedAt.value).toBe(came)
    page.unmount()
  })

  it('tells the age of what is shown, not of what was shown before', async () => {
    const key = ref('a')
    const { page, live } = show(async () => key.value, key)
    await pass(0)
    const first = Date.now()
    await pass(EVERY_MS / 2)
    key.value = 'b'
    await pass(0)
    expect(live.updatedAt.value).toBe(first + EVERY_MS / 2)
    page.unmount()
  })
})
