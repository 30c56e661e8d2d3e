// Which groups follow a setting of the installation, and which go their own way.
import type { Group } from '@/api/groups'

export interface Affected {
  /** `false`: no group can differ, it is one for all. */
  isOverridable: boolean
  following: Group[]
  overriding: Group[]
}

export function affectedBy(key: string, groups: readonly Group[], overridable: ReadonlySet<string>): Affected {
  if (!overridable.has(key)) return { isOverridable: false, following: [...groups], overriding: [] }
  const isOwn = (group: Group) => group.config !== null && Object.hasOwn(group.config, key)
  return { isOverridable: true, following: groups.filter((group) => !isOwn(group)), overriding: groups.filter(isOwn) }
}
