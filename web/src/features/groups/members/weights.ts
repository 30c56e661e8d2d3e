// Weights of the members of an aggregate group, and the shares of requests that they make.
import type { GroupMember } from '@/api/groups'

export const WEIGHT_MAX = 1_000

/** A weight as it was typed; `null` and `undefined` as UiNumber has them. */
export type TypedWeight = number | null | undefined

export type MemberState = 'usable' | 'off' | 'no_keys'

export function isWeight(weight: TypedWeight): weight is number {
  return typeof weight === 'number' && Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX
}

/** Off by its weight; or it has none of the keys that a request would need. */
export function memberState(weight: TypedWeight, activeKeys: number): MemberState {
  if (!weight) return 'off'
  return activeKeys > 0 ? 'usable' : 'no_keys'
}

/**
 * Each one's share of the requests, 0 to 1. A member without usable keys gets none: its part goes to the others.
 * Where nobody serves there is no share to speak of: `null`.
 */
export function shares(members: readonly { weight: TypedWeight; activeKeys: number }[]): (number | null)[] {
  const serving = members.map(({ weight, activeKeys }) => (isWeight(weight) && activeKeys > 0 ? weight : 0))
  const sum = serving.reduce((total, weight) => total + weight, 0)
  return serving.map((weight) => (sum > 0 ? weight / sum : null))
}

/** The weights that differ from what is stored; what is no weight is left out. */
export function changedWeights(members: readonly Pick<GroupMember, 'weight' | 'group'>[], typed: ReadonlyMap<number, TypedWeight>): { id: number; from: number; to: number }[] {
  return members.flatMap(({ group, weight }) => {
    const wanted = typed.get(group.id)
    return typed.has(group.id) && isWeight(wanted) && wanted !== weight ? [{ id: group.id, from: weight, to: wanted }] : []
  })
}
