// A server that is away: said once, looked for with patience, and fetched from anew when it is back.
import { PiniaColada } from '@pinia/colada'
import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { reportReached, reportUnreachable, useConnection, useReconnection } from './useConnection'

beforeEach(() => vi.useFakeTimers())
afterEach(() => {
  reportReached()
  vi.useRealTimers()
})

function watching(look: () => Promise<boolean>) {
  return mount({ setup: () => useReconnection(look), render: () => null }, { global: { plugins: [createPinia(), PiniaColada] } })
}

it('looks again after longer and longer whiles, until the server is back', async () => {
  let isBack = false
  const look = vi.fn(() => Promise.resolve(isBack))
  const page = watching(look)
  const { isLost, lostSince } = useConnection()
  reportUnreachable()
  const since = lostSince.value
  await nextTick()
  await vi.advanceTimersByTimeAsync(1_000 + 2_000 + 4_000)
  expect(look).toHaveBeenCalledTimes(3)
  // Further failures are the same loss.
  reportUnreachable()
  expect(lostSince.value).toBe(since)
  isBack = true
  await vi.advanceTimersByTimeAsync(8_000)
  expect(isLost.value).toBe(false)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(look).toHaveBeenCalledTimes(4)
  page.unmount()
})

it('looks every quarter of a minute at last', async () => {
  const look = vi.fn(() => Promise.resolve(false))
  const page = watching(look)
  reportUnreachable()
  await nextTick()
  await vi.advanceTimersByTimeAsync(1_000 + 2_000 + 4_000 + 8_000)
  look.mockClear()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(look).toHaveBeenCalledTimes(4)
  page.unmount()
})
