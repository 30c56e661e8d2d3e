// What becomes of a file with a configuration.
import { expect, test } from 'vitest'
import { fileName, inOrder, readConfiguration } from './configurationFile'

test('only a configuration of ours is taken', () => {
  const file = { format: 'gpt-load-configuration', version: 1, created_at: '', settings: {}, groups: [{ name: 'all', group_type: 'aggregate', members: [{ name: 'one', weight: 1 }] }] }
  expect(readConfiguration(JSON.stringify(file))).toEqual({ configuration: file })
  const broken = [{ settings: [] }, { groups: {} }, { version: '1' }, { groups: [{ name: 1, group_type: 'standard' }] }, { groups: [{ ...file.groups[0], members: [{ name: 'one' }] }] }]
  for (const member of broken) expect(readConfiguration(JSON.stringify({ ...file, ...member })), JSON.stringify(member)).toEqual({ fault: 'other_format' })
  expect(readConfiguration('{"format"')).toEqual({ fault: 'no_json' })
  for (const other of ['{}', 'null', '[]', '{"format":"x"}', '"gpt-load-configuration"']) expect(readConfiguration(other), other).toEqual({ fault: 'other_format' })
})

test('what is made new comes first, what stays comes last', () => {
  const change = (kind: 'setting' | 'group', name: string, action: 'create' | 'change' | 'leave') => ({ kind, name, action, fields: [] })
  const ordered = inOrder([change('setting', 'b', 'leave'), change('group', 'z', 'create'), change('group', 'a', 'create')])
  expect(ordered.map(({ action, changes }) => [action, ...changes.map(({ name }) => name)])).toEqual([
    ['create', 'a', 'z'],
    ['leave', 'b'],
  ])
})

test('a file is named after its day', () => expect(fileName(new Date('2026-11-26T23:59:59Z'))).toBe('gpt-load-2026-11-26.json'))
