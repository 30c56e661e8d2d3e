// Choosing some rows, and all but some.
import { expect, test } from 'vitest'
import { useRowSelection } from './rowSelection'

test('some are chosen by their ids', () => {
  const selection = useRowSelection<number>()
  selection.set([1, 2, 3], true)
  selection.set([2], false)
  expect(selection.has(1)).toBe(true)
  expect(selection.has(2)).toBe(false)
  expect(selection.count(100_000)).toBe(2)
  expect(selection.isEmpty.value).toBe(false)
})

test('all that match are chosen without naming them, but for some', () => {
  const selection = useRowSelection<number>()
  selection.set([1], true)
  selection.chooseAll()
  selection.set([7, 8], false)
  selection.set([8], true)
  expect(selection.has(1)).toBe(true)
  expect(selection.has(7)).toBe(false)
  expect(selection.has(99_999)).toBe(true)
  expect([...selection.ids]).toEqual([7])
  expect(selection.count(100_000)).toBe(99_999)
})

test('cleared, none is chosen', () => {
  const selection = useRowSelection<string>()
  selection.chooseAll()
  selection.clear()
  expect(selection.isEmpty.value).toBe(true)
  expect(selection.has('x')).toBe(false)
  expect(selection.count(10)).toBe(0)
})
