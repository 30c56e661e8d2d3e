// The address says which keys are shown; a selection says which are meant.
import { expect, test } from 'vitest'
import { useRowSelection } from '@/ui/table/rowSelection'
import { choiceOf, readKeyFilter, writeKeyFilter } from './useKeyFilter'

test('what is as usual is not in the address', () => {
  expect(readKeyFilter({})).toEqual({ filter: null, search: '', sort: 'last_used_at', isDescending: true })
  expect(Object.values(writeKeyFilter(readKeyFilter({}))).every((value) => value === undefined)).toBe(true)
})

test('a link shows the same to everybody', () => {
  const queries: Record<string, string>[] = [{ state: 'invalid' }, { q: 'sk-a' }, { sort: 'failure_count' }, { sort: 'last_used_at', order: 'asc' }, { state: 'resting', q: 'x', sort: 'id', order: 'asc' }]
  for (const query of queries) {
    const written = Object.fromEntries(Object.entries(writeKeyFilter(readKeyFilter(query))).filter(([, value]) => value !== undefined))
    expect(written).toEqual(query)
  }
})

test('nonsense in the address is as good as nothing', () => {
  expect(readKeyFilter({ state: 'all', sort: 'colour', order: 'asc', q: ['a', 'b'] })).toEqual(readKeyFilter({}))
})

test('some are named, all are described', () => {
  const selection = useRowSelection<number>()
  selection.set([3, 4], true)
  expect(choiceOf(selection, { filter: 'invalid', search: '' })).toEqual({ ids: [3, 4] })
  selection.chooseAll()
  selection.set([4], false)
  expect(choiceOf(selection, { filter: 'invalid', search: 'team' })).toEqual({ filter: { status: 'invalid', search: 'team' }, except_ids: [4] })
  expect(choiceOf(selection, { filter: null, search: '' })).toEqual({ filter: {}, except_ids: [4] })
})
