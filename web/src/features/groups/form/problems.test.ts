// When a group cannot be saved.
import { expect, test } from 'vitest'
import { newDraft, type GroupDraft } from './draft'
import { pathProblem, wrongFields } from './problems'

const around = { taken: ['taken'], settings: [{ key: 'max_retries', type: 'int', required: true, min_value: 0, max_value: 1000 }] }
const right: GroupDraft = { ...newDraft('standard', 'openai', 0), name: 'team' }
const wrong = (change: Partial<GroupDraft>) => wrongFields({ ...right, ...change }, around)

test('a new group lacks only its name', () => {
  expect(wrongFields(newDraft('standard', 'openai', 0), around)).toEqual(['name'])
  expect(wrong({})).toEqual([])
})

test('each field that breaks a rule is named', () => {
  expect(wrong({ name: 'taken', sort: null })).toEqual(['name', 'sort'])
  expect(wrong({ description: 'x'.repeat(513), test_model: ' ' })).toEqual(['description', 'test_model'])
  expect(wrong({ upstreams: [] })).toEqual(['upstreams'])
  expect(wrong({ upstreams: [{ url: 'https://a', weight: 0 }] })).toEqual(['upstreams'])
  expect(wrong({ upstreams: [{ url: 'https://a', weight: 1 }, { url: '', weight: 0 }] })).toEqual(['upstreams'])
  expect(wrong({ header_rules: [{ key: 'A', value: '', action: 'set' }, { key: 'a', value: '', action: 'remove' }] })).toEqual(['header_rules'])
  expect(wrong({ param_overrides: '[]' })).toEqual(['param_overrides'])
  expect(wrong({ param_overrides: '{"a": 1}' })).toEqual([])
})

test('0 is a right value of a setting, an empty field is not', () => {
  expect(wrong({ config: { max_retries: 0 } })).toEqual([])
  expect(wrong({ config: { max_retries: null } })).toEqual(['config'])
  expect(wrong({ config: { max_retries: 1001 } })).toEqual(['config'])
})

test('an aggregate group needs neither model nor upstream', () => {
  expect(wrongFields({ ...right, group_type: 'aggregate', test_model: '', upstreams: [] }, around)).toEqual([])
})

test('a path begins with a slash', () => {
  expect(pathProblem('/v1/models')).toBeNull()
  expect(pathProblem('v1/models')).toBe('slash')
  expect(pathProblem('https://a/v1')).toBe('address')
  expect(pathProblem('')).toBeNull()
})
