// Which groups may join an aggregate group, and why the others may not: the same rules as the server's.
import type { Group } from '@/api/groups'
import { channelFacts } from '../channels'

export type Unfit = { reason: 'member' } | { reason: 'aggregate' } | { reason: 'channel'; channel: string } | { reason: 'path'; path: string; expected: string }

export interface Candidate {
  group: Group
  /** `null`: it may join. */
  unfit: Unfit | null
}

/** Where its keys are tested; empty where that follows from the model, which conflicts with nothing. */
export function testPlace(group: Pick<Group, 'validation_endpoint' | 'channel_type'>): string {
  return group.validation_endpoint.trim() || channelFacts(group.channel_type).testPath
}

/** @param members those that are there already, the first one deciding where keys are tested. */
export function candidates(aggregate: Pick<Group, 'id' | 'channel_type'>, groups: readonly Group[], members: readonly Pick<Group, 'id' | 'validation_endpoint' | 'channel_type'>[]): Candidate[] {
  const ids = new Set(members.map((member) => member.id))
  const expected = members[0] ? testPlace(members[0]) : ''
  return groups
    .filter((group) => group.id !== aggregate.id)
    .map((group) => {
      const path = testPlace(group)
      if (ids.has(group.id)) return { group, unfit: { reason: 'member' } }
      if (group.group_type === 'aggregate') return { group, unfit: { reason: 'aggregate' } }
      if (group.channel_type !== aggregate.channel_type) return { group, unfit: { reason: 'channel', channel: group.channel_type } }
      if (expected && path !== expected) return { group, unfit: { reason: 'path', path, expected } }
      return { group, unfit: null }
    })
}

/** Groups that join together are tested at one place, too. */
export function areTogether(groups: readonly Group[]): boolean {
  return new Set(groups.map(testPlace).filter(Boolean)).size <= 1
}
