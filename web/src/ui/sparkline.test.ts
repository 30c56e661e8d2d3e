// The bars of a sparkline.
import { expect, test } from 'vitest'
import { HEIGHT, STEP, layBars } from './sparkline'

test('the highest step fills the height, its parts stacked from the bottom', () => {
  const [first, second] = layBars([
    [6, 2],
    [4, 0],
  ])
  expect(first?.parts).toEqual([
    { y: HEIGHT / 4, height: (HEIGHT * 3) / 4 },
    { y: 0, height: HEIGHT / 4 },
  ])
  expect(second?.x).toBe((first?.x ?? 0) + STEP)
  expect(second?.parts[0]?.height).toBe(HEIGHT / 2)
})

test('little is seen, nothing is not', () => {
  const [much, little, none] = layBars([[100_000], [1], [0]])
  expect(much?.parts[0]?.height).toBe(HEIGHT)
  expect(little?.parts[0]?.height).toBeGreaterThan(1)
  expect(none?.parts[0]?.height).toBe(0)
  expect(layBars([[0], [0]]).every((bar) => bar.parts[0]?.height === 0)).toBe(true)
})
