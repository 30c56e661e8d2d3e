// What a span of time in the address means.
import { describe, expect, it } from 'vitest'
import type { LocationQuery } from 'vue-router'
import { fromLocalField, parseRange, rangeBetween, rangeKey, rangeQuery, refreshMsOf, spanBefore, spanOf, toLocalField } from './timeRange'

const NOON = Date.parse('2026-11-26T12:07:31.250Z')
const UTC = 0
const INDIA = -330

describe('the address', () => {
  it('names a span that ends now, and the default by nothing', () => {
    expect(parseRange({})).toEqual({ preset: '24h' })
    expect(parseRange({ range: '7d' })).toEqual({ preset: '7d' })
    expect(rangeQuery({ preset: '24h' })).toEqual({ range: undefined, from: undefined, to: undefined })
    expect(rangeQuery({ preset: '15m' })).toEqual({ range: '15m', from: undefined, to: undefined })
  })

  it('comes back as it went', () => {
    const range = { from: NOON, to: NOON + 3_600_000 }
    expect(parseRange(rangeQuery(range) as Record<string, string>)).toEqual(range)
  })

  it('falls back to the default where it makes no sense', () => {
    const odd: LocationQuery[] = [{ range: 'week' }, { from: 'x', to: 'y' }, { from: '2026-11-26T12:00:00Z' }, { from: '2026-11-26T12:00:00Z', to: '2026-11-26T11:00:00Z' }, { range: ['1h', '6h'] }]
    for (const query of odd) {
      expect(parseRange(query)).toEqual({ preset: '24h' })
    }
  })

  it('also takes plain milliseconds', () => {
    expect(parseRange({ from: '1764158851250', to: '1764162451250' })).toEqual({ from: 1764158851250, to: 1764162451250 })
  })
})

describe('a span', () => {
  it('ends with the step that is not over yet', () => {
    const span = spanOf({ preset: '24h' }, NOON, UTC)
    expect(new Date(span.to).toISOString()).toBe('2026-11-26T12:15:00.000Z')
    expect(new Date(span.from).toISOString()).toBe('2026-11-25T12:15:00.000Z')
    expect(span.steps).toBe(96)
  })

  it('has its steps where the reader has his midnight', () => {
    const span = spanOf({ preset: '30d' }, NOON, INDIA)
    // 18:30 UTC is midnight there.
    expect(new Date(span.to).toISOString()).toBe('2026-11-26T12:30:00.000Z')
    expect(span.steps * span.stepMs).toBe(span.to - span.from)
  })

  it('of any length has at most 120 steps', () => {
    for (const length of [10_000, 119_000, 3_600_001, 86_400_000 * 3, 86_400_000 * 400, 86_400_000 * 4_000]) {
      const span = spanOf({ from: NOON - length, to: NOON }, NOON)
      expect(span.steps).toBeGreaterThanOrEqual(2)
      expect(span.steps).toBeLessThanOrEqual(120)
      expect(span.steps * span.stepMs).toBeGreaterThanOrEqual(length)
    }
  })

  it('is compared with one of equal length that ends where it begins', () => {
    const span = spanOf({ preset: '1h' }, NOON, UTC)
    const before = spanBefore(span)
    expect(before.to).toBe(span.from)
    expect(before.to - before.from).toBe(span.to - span.from)
  })

  it('that is over is not fetched again', () => {
    expect(refreshMsOf({ from: NOON - 10, to: NOON }, NOON)).toBeNull()
    expect(refreshMsOf({ from: NOON - 10, to: NOON + 1 }, NOON)).toBe(30_000)
    expect(refreshMsOf({ preset: '15m' })).toBe(10_000)
  })

  it('has one key as long as the same is meant', () => {
    expect(rangeKey({ preset: '1h' })).toBe('1h')
    expect(rangeKey({ from: 1, to: 2 })).toBe('1-2')
  })
})

describe('a drag', () => {
  it('goes either way, and means nothing where it is short', () => {
    expect(rangeBetween(NOON, NOON - 60_000.4)).toEqual({ from: NOON - 60_000, to: NOON })
    expect(rangeBetween(NOON, NOON + 9_999)).toBeNull()
  })
})

describe('a field for a moment', () => {
  it('keeps the second', () => {
    const ms = Math.floor(NOON / 1_000) * 1_000
    expect(fromLocalField(toLocalField(ms))).toBe(ms)
  })

  it('that is empty or half filled is no moment', () => {
    for (const text of ['', '2026', '2026-13-40T99:00']) expect(fromLocalField(text)).toBeNull()
  })
})
