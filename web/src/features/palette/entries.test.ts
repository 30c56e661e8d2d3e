// What is found by what is typed.
import { beforeEach, expect, test } from 'vitest'
import { fitting, inSections, readRecent, rememberRecent, type Entry, type EntrySection } from './entries'

const entry = (text: string, more: Partial<Entry> = {}): Entry => ({ id: text, section: 'places', text, icon: {}, ...more })
const texts = (entries: Entry[]) => entries.map(({ text }) => text)

beforeEach(() => localStorage.clear())

test('the beginning of a name fits better than its middle, and its description worst', () => {
  const entries = [entry('Sandbox', { otherWords: 'for the team' }), entry('my-team'), entry('The team'), entry('Team keys'), entry('Other')]
  expect(texts(fitting(entries, 'team', 10))).toEqual(['Team keys', 'The team', 'my-team', 'Sandbox'])
})

test('every word must fit, in any order and any case', () => {
  const entries = [entry('Import keys', { detail: 'team' }), entry('Import keys', { detail: 'spare' })]
  expect(fitting(entries, 'TEAM imp', 10)).toEqual([entries[0]])
})

test('nothing typed fits all, in their order, up to a limit', () => {
  expect(texts(fitting([entry('b'), entry('a'), entry('c')], '  ', 2))).toEqual(['b', 'a'])
})

test('sections stand in one order, and empty ones not at all', () => {
  const entries = [entry('x', { section: 'actions' }), entry('y', { section: 'keys' })]
  expect(inSections(entries).map(({ section }) => section)).toEqual(['keys', 'actions'])
})

test('the section with the best entry comes first', () => {
  const entries = [entry('System', { section: 'places' }), entry('Team keys', { section: 'groups' })]
  expect(inSections(entries, 'te').map(({ section }) => section)).toEqual(['groups', 'places'])
})

test('what was opened last comes first, once, and never a key', () => {
  const open = (id: string, section: EntrySection = 'groups') => rememberRecent({ id, section })
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'b']) open(id)
  open('sk-p****', 'keys')
  expect(readRecent()).toEqual(['b', 'f', 'e', 'd', 'c'])
})

test('nonsense in the storage is no recent thing', () => {
  localStorage.setItem('gpt-load.palette.recent', '{"a":1}')
  expect(readRecent()).toEqual([])
  localStorage.setItem('gpt-load.palette.recent', 'x')
  expect(readRecent()).toEqual([])
})
