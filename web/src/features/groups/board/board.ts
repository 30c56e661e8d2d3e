// What the board of groups shows: which groups, in which order, and how they are moved.
import type { GroupSummary } from '@/api/groups'

export const HEALTHS = ['critical', 'warning', 'good', 'idle'] as const
export type Health = (typeof HEALTHS)[number]

export const SORTS = ['own', 'name', 'health', 'keys', 'rate', 'errors', 'requests'] as const
export type Sort = (typeof SORTS)[number]

export interface BoardView {
  search: string
  /** `null`: all. */
  health: Health | null
  channel: string | null
  sort: Sort
  /** Against the order that is most useful for that column. */
  isReversed: boolean
}

/** Positions are this far apart, so that one that moves needs no other to move. */
const SORT_STEP = 10

/** Keys that a request could get at this moment. */
export function usableKeys(group: GroupSummary): number {
  return Math.max(group.active_keys - group.resting_keys, 0)
}

/** `null` where nobody asked. */
export function errorRate(group: GroupSummary): number | null {
  return group.requests_24h > 0 ? group.failures_24h / group.requests_24h : null
}

export function isAggregate(group: { group_type: string }): boolean {
  return group.group_type === 'aggregate'
}

export function matching(groups: readonly GroupSummary[], view: Pick<BoardView, 'search' | 'health' | 'channel'>): GroupSummary[] {
  const wanted = view.search.trim().toLowerCase()
  return groups.filter(
    (group) =>
      (!wanted || group.name.toLowerCase().includes(wanted) || group.display_name.toLowerCase().includes(wanted)) &&
      (!view.health || group.health === view.health) &&
      (!view.channel || group.channel_type === view.channel),
  )
}

/** Each column's first order is the one that brings forward what one looks for: the worst, the busiest, the emptiest. */
export function sorted(groups: readonly GroupSummary[], sort: Sort, isReversed: boolean): GroupSummary[] {
  if (sort === 'own') return [...groups]
  const direction = isReversed ? -1 : 1
  return [...groups].sort((a, b) => {
    if (sort === 'name') return direction * title(a).localeCompare(title(b), undefined, { numeric: true })
    const [left, right] = [measure(a, sort), measure(b, sort)]
    // Without a value there is nothing to compare: last, whichever way round.
    if (left === null || right === null) return Number(left === null) - Number(right === null)
    return direction * (left - right)
  })
}

function title(group: GroupSummary): string {
  return (group.display_name || group.name).toLowerCase()
}

function measure(group: GroupSummary, sort: Exclude<Sort, 'own' | 'name'>): number | null {
  switch (sort) {
    case 'health':
      return HEALTHS.indexOf(group.health)
    case 'keys':
      return isAggregate(group) ? null : usableKeys(group)
    case 'rate':
      return -group.requests_per_minute
    case 'requests':
      return -group.requests_24h
    case 'errors': {
      const rate = errorRate(group)
      return rate === null ? null : -rate
    }
  }
}

export function countByHealth(groups: readonly GroupSummary[]): Record<Health, number> {
  const counts: Record<Health, number> = { critical: 0, warning: 0, good: 0, idle: 0 }
  for (const group of groups) counts[group.health]++
  return counts
}

/** The order with one moved to another place; places outside are the first and the last. */
export function moved(order: readonly number[], id: number, to: number): number[] {
  const rest = order.filter((other) => other !== id)
  if (rest.length === order.length) return [...order]
  rest.splice(Math.max(0, Math.min(to, rest.length)), 0, id)
  return rest
}

/** What the server must be told so that it keeps the order: only those whose position changes. */
export function positionsToSave(order: readonly number[], groups: readonly Pick<GroupSummary, 'id' | 'sort'>[]): { id: number; sort: number }[] {
  const now = new Map(groups.map((group) => [group.id, group.sort]))
  return order.map((id, index) => ({ id, sort: (index + 1) * SORT_STEP })).filter(({ id, sort }) => now.has(id) && now.get(id) !== sort)
}

/** The view as the address has it. What is not understood is as if it were not there. */
export function readView(query: Record<string, unknown>): BoardView {
  const text = (name: string) => (typeof query[name] === 'string' ? (query[name] as string) : '')
  const wanted = text('sort')
  return {
    search: text('q'),
    health: HEALTHS.find((health) => health === text('health')) ?? null,
    channel: text('channel') || null,
    sort: SORTS.find((sort) => sort === wanted.replace(/^-/, '')) ?? 'own',
    isReversed: wanted.startsWith('-'),
  }
}

/** The address of a view; what is as usual is left out. */
export function writeView(view: BoardView): Record<string, string> {
  return {
    ...(view.search ? { q: view.search } : {}),
    ...(view.health ? { health: view.health } : {}),
    ...(view.channel ? { channel: view.channel } : {}),
    ...(view.sort === 'own' ? {} : { sort: `${view.isReversed ? '-' : ''}${view.sort}` }),
  }
}
