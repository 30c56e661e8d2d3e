// Where rows stand in tables of all lengths.
import { describe, expect, test } from 'vitest'
import { HEIGHT_MAX_PX, heightOf, scrollTo, sightAt, topOf, windowAt, type Geometry } from './rowWindow'

const short: Geometry = { total: 100_000, rowHeightPx: 32, viewportHeightPx: 640 }
const endless: Geometry = { total: 2_000_000, rowHeightPx: 44, viewportHeightPx: 800 }

describe('a table of a hundred thousand rows', () => {
  test('is as high as all its rows', () => {
    expect(heightOf(short)).toBe(3_200_000)
  })

  test('draws the rows in sight and a few beyond, whatever its length', () => {
    expect(sightAt(short, 32_000)).toEqual({ from: 1_000, to: 1_020 })
    const { from, to } = windowAt(short, 32_000)
    expect(from).toBeLessThan(1_000)
    expect(to).toBeGreaterThan(1_020)
    expect(to - from).toBeLessThan(50)
  })

  test('has nothing before its first row nor behind its last', () => {
    expect(windowAt(short, -50).from).toBe(0)
    expect(windowAt(short, 3_200_000 - 640).to).toBe(100_000)
    expect(windowAt({ ...short, total: 0 }, 0)).toEqual({ from: 0, to: 0 })
  })

  test('leaves its rows where they are while it scrolls', () => {
    expect(topOf(short, 500, 0)).toBe(16_000)
    expect(topOf(short, 500, 9_999)).toBe(16_000)
  })

  test('scrolls no further than needed to show a row', () => {
    expect(scrollTo(short, 10, 0)).toBe(0)
    expect(scrollTo(short, 20, 0)).toBe(32)
    expect(scrollTo(short, 5, 1_000)).toBe(160)
  })
})

describe('a table longer than browsers can show', () => {
  test('is cut to what they can', () => {
    expect(heightOf(endless)).toBe(HEIGHT_MAX_PX)
  })

  test('still comes to its last row at the end of the scroll bar', () => {
    const end = HEIGHT_MAX_PX - endless.viewportHeightPx
    expect(sightAt(endless, end).to).toBe(endless.total)
    expect(topOf(endless, endless.total - 1, end) + endless.rowHeightPx).toBeCloseTo(HEIGHT_MAX_PX, 0)
  })

  test('brings any row into sight', () => {
    for (const index of [0, 1, 777_777, 1_999_999]) {
      const { from, to } = sightAt(endless, scrollTo(endless, index, 3_000_000))
      expect(from).toBeLessThanOrEqual(index)
      expect(to).toBeGreaterThan(index)
    }
  })
})
