// Names of groups and of their copies.
import { expect, test } from 'vitest'
import { copyName, firstFree, nameFrom, nameProblem } from './copyName'

test('a name is small letters, digits, dashes and underscores, and free', () => {
  expect(nameProblem(' team-a_1 ', [])).toBeNull()
  expect(nameProblem('  ', [])).toBe('required')
  expect(nameProblem('Team', [])).toBe('characters')
  expect(nameProblem('a b', [])).toBe('characters')
  expect(nameProblem('a'.repeat(101), [])).toBe('long')
  expect(nameProblem('team', ['team'])).toBe('taken')
})

test('a copy has the first free name, cut where it would be too long', () => {
  expect(copyName('team', ['team'])).toBe('team-copy')
  expect(copyName('team', ['team-copy', 'team-copy-2'])).toBe('team-copy-3')
  expect(nameProblem(copyName('a'.repeat(100), []), [])).toBeNull()
})

test('a name comes out of any text', () => {
  expect(nameFrom('OpenAI — Producción 2')).toBe('openai-produccio-n-2')
  expect(nameFrom('开发')).toBe('')
})

test('a name that is taken gets a number', () => {
  expect(firstFree('openai', [])).toBe('openai')
  expect(firstFree('openai', ['openai', 'openai-2'])).toBe('openai-3')
})
