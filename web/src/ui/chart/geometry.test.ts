// What a chart draws.
import { describe, expect, it } from 'vitest'
import { drawn, firstRunning, isEmpty, spanOfSteps, stepAt, type ChartSeries } from './geometry'

function series(key: string, kind: 'bar' | 'line', values: (number | null)[]): ChartSeries {
  return { key, name: key, kind, values, tone: 'series-1' }
}

describe('bars', () => {
  it('stand on each other, the tallest behind, and lines lie above them', () => {
    const all = drawn([series('good', 'bar', [3, 0, null]), series('line', 'line', [9, null, 9]), series('bad', 'bar', [1, 2, null])])
    expect(all.map(({ series, values }) => [series.key, values])).toEqual([
      ['bad', [4, 2, null]],
      ['good', [3, 0, null]],
      ['line', [9, null, 9]],
    ])
  })

  it('of one series where another is unknown keep their own height', () => {
    expect(drawn([series('a', 'bar', [null]), series('b', 'bar', [5])])[0]?.values).toEqual([5])
  })
})

describe('steps', () => {
  const begins = [1_000, 2_000, 3_000]

  it('know which of them is not over yet', () => {
    expect(firstRunning(begins, 1_000, 3_500)).toBe(2)
    expect(firstRunning(begins, 1_000, 2_000)).toBe(1)
    expect(firstRunning(begins, 1_000, 4_000)).toBeNull()
  })

  it('are found by a moment, also beside the chart', () => {
    expect([0, 1_000, 2_999, 99_000].map((moment) => stepAt(begins, 1_000, moment))).toEqual([0, 0, 1, 2])
    expect(stepAt([], 1_000, 5)).toBe(0)
  })

  it('make a span in either direction', () => {
    expect(spanOfSteps(begins, 1_000, 2, 1)).toEqual({ from: 2_000, to: 4_000 })
    expect(spanOfSteps([], 1_000, 0, 0)).toBeNull()
  })
})

it('a chart of nothing but gaps is empty, one of zeros is not', () => {
  expect(isEmpty([series('a', 'line', [null, null])])).toBe(true)
  expect(isEmpty([series('a', 'line', [null, 0])])).toBe(false)
})
