// The board of groups: search, filters, sorting, moving.
import { describe, expect, it } from 'vitest'
import type { GroupSummary } from '@/api/groups'
import { countByHealth, errorRate, matching, moved, positionsToSave, readView, sorted, writeView } from './board'

function group(id: number, own: Partial<GroupSummary> = {}): GroupSummary {
  return {
    id,
    name: `group-${id}`,
    display_name: '',
    group_type: 'standard',
    channel_type: 'openai',
    sort: id * 10,
    total_keys: 10,
    active_keys: 10,
    resting_keys: 0,
    invalid_keys: 0,
    disabled_keys: 0,
    requests_24h: 0,
    failures_24h: 0,
    aborted_24h: 0,
    requests_per_minute: 0,
    hours: [],
    upstreams_total: 1,
    upstreams_resting: 0,
    members_total: 0,
    members_usable: 0,
    health: 'good',
    health_reasons: [],
    ...own,
  }
}

const ids = (groups: GroupSummary[]) => groups.map(({ id }) => id)

describe('the board', () => {
  it('finds by name and display name whatever the case, and by health and channel', () => {
    const groups = [group(1, { display_name: 'Chat of the SHOP' }), group(2, { name: 'shop-batch', health: 'critical' }), group(3, { channel_type: 'gemini' })]
    expect(ids(matching(groups, { search: ' shop ', health: null, channel: null }))).toEqual([1, 2])
    expect(ids(matching(groups, { search: 'shop', health: 'critical', channel: null }))).toEqual([2])
    expect(ids(matching(groups, { search: '', health: null, channel: 'gemini' }))).toEqual([3])
  })

  it('sorts the worst first and what has no value last, both ways round', () => {
    const groups = [group(1, { requests_24h: 100, failures_24h: 1 }), group(2), group(3, { requests_24h: 10, failures_24h: 5 })]
    expect(ids(sorted(groups, 'errors', false))).toEqual([3, 1, 2])
    expect(ids(sorted(groups, 'errors', true))).toEqual([1, 3, 2])
    expect(ids(sorted(groups, 'own', true))).toEqual([1, 2, 3])
    expect(errorRate(group(4))).toBeNull()
  })

  it('sorts by usable keys, where resting ones do not count', () => {
    const groups = [group(1), group(2, { resting_keys: 9 }), group(3, { group_type: 'aggregate', active_keys: 0 })]
    expect(ids(sorted(groups, 'keys', false))).toEqual([2, 1, 3])
  })

  it('counts by health', () => {
    expect(countByHealth([group(1), group(2, { health: 'idle' }), group(3)])).toEqual({ critical: 0, warning: 0, good: 2, idle: 1 })
  })

  it('moves one and keeps within the list', () => {
    expect(moved([1, 2, 3], 3, 0)).toEqual([3, 1, 2])
    expect(moved([1, 2, 3], 1, 1)).toEqual([2, 1, 3])
    expect(moved([1, 2, 3], 2, 99)).toEqual([1, 3, 2])
    expect(moved([1, 2, 3], 2, -5)).toEqual([2, 1, 3])
    expect(moved([1, 2, 3], 9, 0)).toEqual([1, 2, 3])
  })

  it('tells the server only what changed', () => {
    const groups = [group(1), group(2), group(3)]
    expect(positionsToSave([1, 2, 3], groups)).toEqual([])
    expect(positionsToSave([1, 3, 2], groups)).toEqual([
      { id: 3, sort: 20 },
      { id: 2, sort: 30 },
    ])
  })

  it('is the same after its address was written and read', () => {
    const view = readView({ q: 'a', health: 'warning', channel: 'gemini', sort: '-errors' })
    expect(view).toEqual({ search: 'a', health: 'warning', channel: 'gemini', sort: 'errors', isReversed: true })
    expect(readView(writeView(view))).toEqual(view)
    expect(writeView(readView({ health: 'nonsense', sort: 'what' }))).toEqual({})
  })
})
