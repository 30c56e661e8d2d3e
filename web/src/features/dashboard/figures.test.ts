// What cards and charts show of a summary.
import { describe, expect, it } from 'vitest'
import type { LogFigures, LogSummary } from '@/api/logs'
import { counts, failureShare, lastingPart, perMinute, perMinuteBefore, percentile, percentileSeries, timelineOf } from './figures'

const AT = Date.parse('2026-11-26T12:00:00Z')
const MINUTE = 60_000

function figures(requests: number, more: Partial<LogFigures> = {}): LogFigures {
  return { requests, successes: requests, failures: 0, aborted: 0, retries: 0, duration_ms: null, first_byte_ms: null, overhead_us: null, ...more }
}

function summary(more: Partial<LogSummary> = {}): LogSummary {
  const series = [0, 1, 2, 3].map((step) => ({ begin: new Date(AT + step * MINUTE).toISOString(), ...figures(step) }))
  return {
    from: new Date(AT).toISOString(),
    to: new Date(AT + 4 * MINUTE).toISOString(),
    bucket_seconds: 60,
    rows_in_range: 6,
    rows_examined: 6,
    is_estimate: false,
    oldest_entry_at: new Date(AT - MINUTE).toISOString(),
    totals: figures(6),
    previous: null,
    series,
    status_codes: [],
    verdicts: [],
    models: [],
    groups: [],
    parent_groups: [],
    client_keys: [],
    upstreams: [],
    source_ips: [],
    keys: [],
    errors: [],
    ...more,
  }
}

describe('a step', () => {
  it('that has not begun is unknown, not zero', () => {
    const of = summary()
    expect(counts(of, timelineOf(of, AT + 2.5 * MINUTE), 'requests')).toEqual([0, 1, 2, null])
  })

  it('that the log does not reach back to is unknown, not zero', () => {
    const of = summary({ oldest_entry_at: new Date(AT + 1.5 * MINUTE).toISOString() })
    expect(counts(of, timelineOf(of, AT + 9 * MINUTE), 'requests')).toEqual([null, 1, 2, 3])
  })

  it('of an empty log is unknown', () => {
    const of = summary({ oldest_entry_at: null })
    expect(counts(of, timelineOf(of, AT + 9 * MINUTE), 'failures')).toEqual([null, null, null, null])
  })
})

describe('percentiles', () => {
  it('are milliseconds, also where they were taken in microseconds', () => {
    const of = figures(1, { overhead_us: { p50: 120, p90: 200, p95: 900, p99: 1_500 }, duration_ms: { p50: 5, p90: 6, p95: 7, p99: 8 } })
    expect(percentile(of, 'overhead_us', 'p99')).toBe(1.5)
    expect(percentile(of, 'duration_ms', 'p95')).toBe(7)
    expect(percentile(of, 'first_byte_ms', 'p50')).toBeNull()
  })

  it('make a line each, with gaps where nothing is known', () => {
    const lines = percentileSeries(summary(), 'duration_ms', String)
    expect(lines.map(({ key }) => key)).toEqual(['p50', 'p90', 'p95', 'p99'])
    expect(lines[0]?.values).toEqual([null, null, null, null])
  })
})

describe('a rate', () => {
  it('of failures is unknown where nobody asked', () => {
    expect(failureShare(figures(0))).toBeNull()
    expect(failureShare(null)).toBeNull()
    expect(failureShare(figures(4, { failures: 1 }))).toBe(0.25)
  })

  it('per minute is of the time that has passed and that the log knows', () => {
    expect(perMinute(summary(), AT + 2 * MINUTE)).toBe(3)
    expect(perMinute(summary(), AT + 99 * MINUTE)).toBe(1.5)
    expect(perMinute(summary({ oldest_entry_at: new Date(AT + 2 * MINUTE).toISOString() }), AT + 99 * MINUTE)).toBe(3)
    expect(perMinute(summary({ oldest_entry_at: null }), AT)).toBeNull()
    expect(perMinuteBefore(summary())).toBeNull()
    expect(perMinuteBefore(summary({ previous: figures(8) }))).toBe(2)
  })
})

describe('of a message', () => {
  it('what is the same each time can be searched for', () => {
    expect(lastingPart('Rate limit reached for gpt-4o in organization org-8fA1 on tokens per min: Limit 30000, Used 29871.')).toBe('on tokens per min: Limit')
    expect(lastingPart('Incorrect API key provided: sk-a1b2****9f0e. You can find it')).toBe('Incorrect API key provided:')
    expect(lastingPart("The model 'gpt-x' does not exist")).toBe('does not exist')
  })

  it('nothing is searched for where nothing lasts', () => {
    expect(lastingPart('502')).toBeNull()
    expect(lastingPart('')).toBeNull()
  })
})
