// How figures are compared with those of the span before.
import { describe, expect, it } from 'vitest'
import { pointsChange, relativeChange, toneOf } from './change'

describe('counts', () => {
  it('change by a share', () => {
    expect(relativeChange(150, 100)).toEqual({ kind: 'share', direction: 'more', share: 0.5 })
    expect(relativeChange(25, 100)).toEqual({ kind: 'share', direction: 'less', share: 0.75 })
  })

  it('that were none before have no share', () => {
    expect(relativeChange(5, 0)).toEqual({ kind: 'new' })
    expect(relativeChange(0, 0)).toEqual({ kind: 'same' })
  })

  it('that are not known say nothing', () => {
    expect(relativeChange(null, 5)).toEqual({ kind: 'unknown' })
    expect(relativeChange(5, undefined)).toEqual({ kind: 'unknown' })
  })

  it('that differ by less than the unfinished step are the same', () => {
    expect(relativeChange(1_009, 1_000)).toEqual({ kind: 'same' })
  })
})

describe('shares', () => {
  it('change by points, not by percent', () => {
    const change = pointsChange(0.03, 0.01)
    expect(change).toMatchObject({ kind: 'points', direction: 'more' })
    expect('points' in change && change.points).toBeCloseTo(2)
  })

  it('that hardly differ are the same, and unknown ones say nothing', () => {
    expect(pointsChange(0.0101, 0.0099)).toEqual({ kind: 'same' })
    expect(pointsChange(null, 0.1)).toEqual({ kind: 'unknown' })
  })
})

describe('a change is welcome', () => {
  it('in the better direction only, and neither where none is better', () => {
    expect(toneOf({ kind: 'points', direction: 'less', points: 1 }, 'less')).toBe('good')
    expect(toneOf({ kind: 'share', direction: 'more', share: 1 }, 'less')).toBe('critical')
    expect(toneOf({ kind: 'share', direction: 'more', share: 1 }, null)).toBe('neutral')
    expect(toneOf({ kind: 'new' }, 'less')).toBe('neutral')
  })
})
