// How a figure differs from that of the span before: in words and signs, never by colour alone. Pure.

export type Direction = 'more' | 'less'

export type Change =
  /** One of the two is not known. */
  | { kind: 'unknown' }
  | { kind: 'same' }
  /** There was none before, so no share can be told. */
  | { kind: 'new' }
  | { kind: 'share'; direction: Direction; share: number }
  /** Of shares: the difference of two percentages is in points, not in percent. */
  | { kind: 'points'; direction: Direction; points: number }

/** What is below is within what the last, unfinished step of a span makes uncertain. */
const SHARE_MIN = 0.01
const POINTS_MIN = 0.05

export function relativeChange(now: number | null | undefined, before: number | null | undefined): Change {
  if (now === null || now === undefined || before === null || before === undefined) return { kind: 'unknown' }
  if (before === 0) return now === 0 ? { kind: 'same' } : { kind: 'new' }
  const share = now / before - 1
  if (Math.abs(share) < SHARE_MIN) return { kind: 'same' }
  return { kind: 'share', direction: share > 0 ? 'more' : 'less', share: Math.abs(share) }
}

/** Of two shares, 0 to 1. */
export function pointsChange(now: number | null, before: number | null): Change {
  if (now === null || before === null) return { kind: 'unknown' }
  const points = (now - before) * 100
  if (Math.abs(points) < POINTS_MIN) return { kind: 'same' }
  return { kind: 'points', direction: points > 0 ? 'more' : 'less', points: Math.abs(points) }
}

/** Whether a change is welcome, where less (or more) of it is better. */
export function toneOf(change: Change, better: Direction | null): 'good' | 'critical' | 'neutral' {
  if (better === null || !('direction' in change)) return 'neutral'
  return change.direction === better ? 'good' : 'critical'
}
