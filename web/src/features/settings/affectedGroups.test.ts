// Which groups a change of a setting reaches.
import { expect, test } from 'vitest'
import type { Group } from '@/api/groups'
import { affectedBy } from './affectedGroups'

const group = (name: string, config: object | null) => ({ name, config }) as Group
const GROUPS = [group('plain', null), group('empty', {}), group('zero', { max_retries: 0 }), group('other', { connect_timeout: 5 })]

test('a group with its own value, also of zero, does not follow', () => {
  const affected = affectedBy('max_retries', GROUPS, new Set(['max_retries', 'connect_timeout']))
  expect(affected.following.map(({ name }) => name)).toEqual(['plain', 'empty', 'other'])
  expect(affected.overriding.map(({ name }) => name)).toEqual(['zero'])
})

test('a setting that no group may override reaches all', () => {
  const affected = affectedBy('app_url', GROUPS, new Set(['max_retries']))
  expect([affected.isOverridable, affected.following.length, affected.overriding.length]).toEqual([false, 4, 0])
})
