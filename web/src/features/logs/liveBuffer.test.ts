// Entries that wait until somebody wants to see them.
import { expect, it } from 'vitest'
import { BUFFERED_MAX, LiveBuffer } from './liveBuffer'
import { testEntry } from './testing'

const entries = (count: number, from = 0) => Array.from({ length: count }, (_, at) => testEntry({ id: `e${from + at}` }))

it('they come out the newest first, once', () => {
  const buffer = new LiveBuffer()
  buffer.add(entries(2))
  buffer.add(entries(1, 2))
  expect(buffer.count).toBe(3)
  expect(buffer.take().map(({ id }) => id)).toEqual(['e2', 'e1', 'e0'])
  expect(buffer.take()).toEqual([])
})

it('there are never more than so many, the oldest go, and that is known', () => {
  const buffer = new LiveBuffer()
  buffer.add(entries(BUFFERED_MAX))
  expect(buffer.hasLost).toBe(false)
  buffer.add(entries(5, BUFFERED_MAX))
  expect(buffer.hasLost).toBe(true)
  expect(buffer.count).toBe(BUFFERED_MAX)
  expect(buffer.take()[0]?.id).toBe(`e${BUFFERED_MAX + 4}`)
  expect(buffer.hasLost).toBe(false)
})

it('what was missed lies below what came since, each once', () => {
  const buffer = new LiveBuffer()
  buffer.add(entries(2, 2))
  buffer.addOlder([testEntry({ id: 'e2' }), testEntry({ id: 'e1' }), testEntry({ id: 'e0' })])
  expect(buffer.take().map(({ id }) => id)).toEqual(['e3', 'e2', 'e1', 'e0'])
})
