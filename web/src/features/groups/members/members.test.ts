// Members of aggregate groups: who may join, weights and shares.
import { describe, expect, it } from 'vitest'
import type { Group, GroupMember } from '@/api/groups'
import { areTogether, candidates } from './candidates'
import { changedWeights, isWeight, memberState, shares } from './weights'

const group = (id: number, own: Partial<Group> = {}) => ({ id, name: `g${id}`, group_type: 'standard', channel_type: 'openai', validation_endpoint: '', ...own }) as Group

describe('who may join', () => {
  const aggregate = group(1, { group_type: 'aggregate' })
  const all = [aggregate, group(2), group(3, { channel_type: 'gemini' }), group(4, { group_type: 'aggregate' }), group(5, { validation_endpoint: '/v1/embeddings' }), group(6, { validation_endpoint: '/v1/chat/completions' })]

  it('are standard groups of the same format that are tested at the same place', () => {
    const found = candidates(aggregate, all, [group(2)])
    expect(found.map(({ group, unfit }) => [group.id, unfit?.reason ?? null])).toEqual([
      [2, 'member'],
      [3, 'channel'],
      [4, 'aggregate'],
      [5, 'path'],
      [6, null],
    ])
  })

  it('may be tested anywhere as long as nobody is there', () => {
    expect(candidates(aggregate, all, []).filter(({ unfit }) => !unfit).map(({ group }) => group.id)).toEqual([2, 5, 6])
    expect(areTogether([group(2), group(6, { validation_endpoint: '/v1/chat/completions' })])).toBe(true)
    expect(areTogether([group(2), group(5, { validation_endpoint: '/v1/embeddings' })])).toBe(false)
  })
})

describe('shares', () => {
  it('are those of the weights among members that can serve', () => {
    expect(shares([{ weight: 3, activeKeys: 1 }, { weight: 1, activeKeys: 9 }, { weight: 4, activeKeys: 0 }, { weight: 0, activeKeys: 1 }])).toEqual([0.75, 0.25, 0, 0])
    expect(shares([{ weight: 3, activeKeys: 0 }])).toEqual([null])
  })

  it('follow weights that are whole numbers up to 1000 only', () => {
    expect([0, 1000, 1001, -1, 1.5, null, undefined].map(isWeight)).toEqual([true, true, false, false, false, false, false])
    expect(shares([{ weight: undefined, activeKeys: 1 }, { weight: 2, activeKeys: 1 }])).toEqual([0, 1])
  })

  it('go with the state in words', () => {
    expect(memberState(0, 5)).toBe('off')
    expect(memberState(1, 0)).toBe('no_keys')
    expect(memberState(1, 5)).toBe('usable')
  })
})

describe('weights to save', () => {
  it('are those that differ from what is stored', () => {
    const members = [1, 2, 3].map((id) => ({ group: { id }, weight: 10 })) as unknown as GroupMember[]
    expect(changedWeights(members, new Map([[1, 10], [2, 0], [3, undefined]]))).toEqual([{ id: 2, from: 10, to: 0 }])
  })
})
