// Where floating panels stand.
import { expect, test } from 'vitest'
import { placeBeside } from './floating'

const WINDOW = { width: 1000, height: 800 }
const anchor = (left: number, top: number) => ({ left, right: left + 100, top, bottom: top + 40 })

test('a panel opens below its button, at its start or at its end', () => {
  expect(placeBeside(anchor(200, 100), { width: 300, height: 200 }, WINDOW, 'start')).toEqual({ left: 200, top: 144, maxHeight: 648 })
  expect(placeBeside(anchor(500, 100), { width: 300, height: 200 }, WINDOW, 'end').left).toBe(300)
})

test('it is moved rather than cut off at the sides', () => {
  expect(placeBeside(anchor(900, 100), { width: 300, height: 200 }, WINDOW, 'start').left).toBe(692)
  expect(placeBeside(anchor(20, 100), { width: 300, height: 200 }, WINDOW, 'end').left).toBe(8)
})

test('it opens above where there is more room, and is no higher than that', () => {
  expect(placeBeside(anchor(0, 700), { width: 300, height: 200 }, WINDOW, 'start').top).toBe(496)
  expect(placeBeside(anchor(0, 500), { width: 300, height: 2000 }, WINDOW, 'start')).toEqual({ left: 8, top: 8, maxHeight: 488 })
})

test('a panel wider than the window begins at its margin', () => expect(placeBeside(anchor(0, 0), { width: 2000, height: 10 }, WINDOW, 'end').left).toBe(8))
