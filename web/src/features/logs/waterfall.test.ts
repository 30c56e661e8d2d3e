// Attempts in time.
import { describe, expect, it } from 'vitest'
import { testEntry } from './testing'
import { sharesOf, waterfallOf } from './waterfall'

describe('a waterfall', () => {
  it('begins each attempt where the one before ended', () => {
    const { totalMs, bars } = waterfallOf([
      testEntry({ id: 'a', attempt: 1, duration_ms: 100, first_byte_ms: null }),
      testEntry({ id: 'b', attempt: 2, duration_ms: 250, first_byte_ms: null }),
      testEntry({ id: 'c', attempt: 3, duration_ms: 1_000, first_byte_ms: 400 }),
    ])
    expect(totalMs).toBe(1_000)
    expect(bars.map(({ fromMs, toMs, firstByteMs }) => [fromMs, toMs, firstByteMs])).toEqual([
      [0, 100, null],
      [100, 250, null],
      [250, 1_000, 400],
    ])
    const last = bars[2]
    expect(last && sharesOf(last, totalMs)).toEqual({ from: 0.25, waiting: 0.15, answering: 0.6 })
  })

  it('does not believe a first byte that lies outside of its attempt', () => {
    const { bars } = waterfallOf([testEntry({ duration_ms: 100, first_byte_ms: null }), testEntry({ duration_ms: 200, first_byte_ms: 50 })])
    expect(bars[1]?.firstByteMs).toBeNull()
  })

  it('never goes back in time, and knows no attempt of a request that ended at once', () => {
    const { bars, totalMs } = waterfallOf([testEntry({ duration_ms: 100 }), testEntry({ duration_ms: 0, first_byte_ms: 0 })])
    expect(bars.every(({ fromMs, toMs }) => toMs >= fromMs)).toBe(true)
    expect(totalMs).toBe(0)
    const zero = waterfallOf([testEntry({ duration_ms: 0, first_byte_ms: 0 })])
    expect(zero.bars[0] && sharesOf(zero.bars[0], zero.totalMs)).toEqual({ from: 0, waiting: 0, answering: 0 })
  })
})
