// Pages of rows: which are fetched, which are dropped, and which never show.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import { useRowSource, type PageOfRows } from './rowSource'

interface Asked {
  page: number
  group: string
  signal: AbortSignal
  answer: (total?: number) => Promise<void>
  fail: () => Promise<void>
}

const SIZE = 10

function setUp() {
  const group = ref('a')
  const asked: Asked[] = []
  const scope = effectScope()
  const source = scope.run(() =>
    useRowSource<string>({
      identity: group,
      rowsPerPage: SIZE,
      fetchPage: (page, signal) =>
        new Promise<PageOfRows<string>>((resolve, reject) => {
          const of = group.value
          const settle = async (run: () => void) => {
            run()
            await vi.advanceTimersByTimeAsync(0)
          }
          asked.push({
            page,
            group: of,
            signal,
            answer: (total = 1_000) => settle(() => resolve({ items: Array.from({ length: SIZE }, (_, at) => `${of}${page * SIZE + at}`), total })),
            fail: () => settle(() => reject(new Error('away'))),
          })
        }),
    }),
  )!
  return { group, asked, source, scope }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('rows on demand', () => {
  test('the first page is fetched at once, and says how many there are', async () => {
    const { asked, source } = setUp()
    expect(asked.map(({ page }) => page)).toEqual([0])
    expect(source.total.value).toBeNull()
    await asked[0]!.answer(250)
    expect(source.total.value).toBe(250)
    expect(source.at(3)).toBe('a3')
    expect(source.at(30)).toBeUndefined()
  })

  test('only where the reader stays are pages fetched', async () => {
    const { asked, source } = setUp()
    await asked[0]!.answer()
    for (const from of [200, 400, 600, 805]) source.look({ from, to: from + 5 })
    await vi.advanceTimersByTimeAsync(100)
    expect(asked.slice(1).map(({ page }) => page)).toEqual([80, 81])
  })

  test('a page that is no longer wanted is given up', async () => {
    const { asked, source } = setUp()
    await asked[0]!.answer()
    source.look({ from: 505, to: 506 })
    await vi.advanceTimersByTimeAsync(100)
    source.look({ from: 905, to: 906 })
    await vi.advanceTimersByTimeAsync(100)
    expect(asked.find(({ page }) => page === 50)!.signal.aborted).toBe(true)
    expect(asked.find(({ page }) => page === 90)!.signal.aborted).toBe(false)
  })

  test('a late answer about one group never shows under another', async () => {
    const { group, asked, source } = setUp()
    group.value = 'b'
    await nextTick()
    await asked[1]!.answer()
    await asked[0]!.answer()
    expect(source.at(0)).toBe('b0')
  })

  test('what was shown stays, marked as old, until the first answer', async () => {
    const { group, asked, source } = setUp()
    await asked[0]!.answer()
    group.value = 'b'
    await nextTick()
    expect(source.isStale.value).toBe(true)
    expect(source.at(0)).toBe('a0')
    await asked[1]!.answer(5)
    expect(source.isStale.value).toBe(false)
    expect(source.at(0)).toBe('b0')
    expect(source.total.value).toBe(5)
  })

  test('a refresh keeps what is shown until the new is there', async () => {
    const { asked, source } = setUp()
    await asked[0]!.answer()
    const refreshed = source.refresh()
    expect(source.at(0)).toBe('a0')
    await asked[1]!.answer(7)
    await refreshed
    expect(source.total.value).toBe(7)
  })

  test('a failure is told, and the next success clears it', async () => {
    const { asked, source } = setUp()
    await asked[0]!.fail()
    expect(source.error.value).toEqual(new Error('away'))
    void source.refresh()
    await asked[1]!.answer()
    expect(source.error.value).toBeNull()
  })

  test('a range that is not in sight is loaded whole, or not at all', async () => {
    const { group, asked, source } = setUp()
    await asked[0]!.answer()
    const rows = source.load({ from: 8, to: 12 })
    await vi.advanceTimersByTimeAsync(0)
    await asked[1]!.answer()
    expect(await rows).toEqual(['a8', 'a9', 'a10', 'a11'])

    const others = source.load({ from: 8, to: 32 })
    await vi.advanceTimersByTimeAsync(0)
    group.value = 'b'
    await nextTick()
    for (const one of asked.slice(2)) await one.answer()
    expect(await others).toEqual([])
  })

  test('nothing is fetched once the table is gone', async () => {
    const { asked, source, scope } = setUp()
    source.look({ from: 500, to: 510 })
    scope.stop()
    await vi.advanceTimersByTimeAsync(200)
    expect(asked).toHaveLength(1)
    expect(asked[0]!.signal.aborted).toBe(true)
  })
})
