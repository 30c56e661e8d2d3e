// Columns as somebody likes them, and as they come back with the next visit.
import { beforeEach, expect, test } from 'vitest'
import { ordered, useTableLayout, type Column } from './tableLayout'

const columns: Column[] = [
  { id: 'key', title: 'Key', widthPx: 100, isAlways: true },
  { id: 'state', title: 'State', widthPx: 100 },
  { id: 'notes', title: 'Notes', widthPx: 100, grow: 1 },
  { id: 'hash', title: 'Hash', widthPx: 100, isExtra: true },
]
const ids = (list: readonly Column[]) => list.map(({ id }) => id)

beforeEach(() => localStorage.clear())

test('extra columns are shown on demand, and the one that names a row always', () => {
  const layout = useTableLayout('t', columns)
  expect(ids(layout.shown.value)).toEqual(['key', 'state', 'notes'])
  layout.show('hash', true)
  layout.show('state', false)
  layout.show('key', false)
  expect(ids(layout.shown.value)).toEqual(['key', 'notes', 'hash'])
})

test('order, width and density are there at the next visit', () => {
  const before = useTableLayout('t', columns)
  before.move('notes', -2)
  before.setWidth('notes', 333.4)
  before.setWidth('state', 1)
  before.setDensity('compact')
  const after = useTableLayout('t', columns)
  expect(ids(after.all.value)).toEqual(['notes', 'key', 'state', 'hash'])
  expect(after.all.value[0]).toMatchObject({ widthPx: 333, grow: undefined })
  expect(after.all.value[2]!.widthPx).toBe(64)
  expect(after.density.value).toBe('compact')
  after.reset()
  expect(after.isChanged.value).toBe(false)
  expect(after.density.value).toBe('compact')
})

test('a column that came later stands where it belongs, one that went is forgotten', () => {
  expect(ids(ordered(columns, ['notes', 'gone', 'key']))).toEqual(['notes', 'hash', 'key', 'state'])
})

test('nonsense in the storage is as good as nothing', () => {
  localStorage.setItem('gpt-load.table.t', '{"order":7,"widths":{"key":"wide","state":-3},"density":"huge"}')
  const layout = useTableLayout('t', columns)
  expect(ids(layout.shown.value)).toEqual(['key', 'state', 'notes'])
  expect(layout.isChanged.value).toBe(false)
})
