// How many keys can be used now; of an aggregate group, how many members. Pure.
import type { GroupSummary } from '@/api/groups'

export type Usable = { kind: 'keys'; usable: number; total: number; resting: number; invalid: number; disabled: number } | { kind: 'members'; usable: number; total: number }

/** Of one group, or of all. A key that rests is in rotation, but is not used before its time. */
export function usableKeys(groups: readonly GroupSummary[] | undefined, group: GroupSummary | undefined): Usable | null {
  if (group?.group_type === 'aggregate') return { kind: 'members', usable: group.members_usable, total: group.members_total }
  const counted = group ? [group] : groups
  if (!counted) return null
  const sum = (of: (group: GroupSummary) => number) => counted.reduce((total, one) => total + of(one), 0)
  return {
    kind: 'keys',
    usable: sum(({ active_keys, resting_keys }) => active_keys - resting_keys),
    total: sum(({ total_keys }) => total_keys),
    resting: sum(({ resting_keys }) => resting_keys),
    invalid: sum(({ invalid_keys }) => invalid_keys),
    disabled: sum(({ disabled_keys }) => disabled_keys),
  }
}
