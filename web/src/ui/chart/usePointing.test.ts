// How one points at steps of a chart.
import { describe, expect, it, vi } from 'vitest'
import { effectScope, ref } from 'vue'
import { usePointing } from './usePointing'

const BEGINS = [0, 10, 20, 30]

function chart(canZoom = true) {
  const cursor = ref<number | null>(null)
  const zoom = vi.fn()
  const pointing = effectScope().run(() => usePointing(cursor, () => ({ begins: BEGINS, stepMs: 10, canZoom }), zoom))
  if (!pointing) throw new Error('no scope')
  const press = (key: string, shiftKey = false) => pointing.onKeyDown(new KeyboardEvent('keydown', { key, shiftKey }))
  return { cursor, zoom, pointing, press }
}

describe('by keyboard', () => {
  it('one begins at the newest step and stays within the chart', () => {
    const { press, pointing, cursor } = chart()
    press('ArrowLeft')
    expect(pointing.step.value).toBe(2)
    press('Home')
    press('ArrowLeft')
    expect(pointing.step.value).toBe(0)
    expect(cursor.value).toBe(5)
    press('End')
    press('ArrowRight')
    expect(pointing.step.value).toBe(3)
  })

  it('one marks with Shift and shows what is marked with Enter', () => {
    const { press, pointing, zoom } = chart()
    press('Home')
    press('ArrowRight', true)
    press('ArrowRight', true)
    expect(pointing.marked.value).toEqual({ from: 0, to: 30 })
    press('Enter')
    expect(zoom).toHaveBeenCalledExactlyOnceWith(0, 30)
    expect(pointing.marked.value).toBeNull()
  })

  it('moving on without Shift forgets what was marked, and Escape all', () => {
    const { press, pointing, cursor, zoom } = chart()
    press('End')
    press('ArrowLeft', true)
    press('ArrowLeft')
    expect(pointing.marked.value).toBeNull()
    press('Escape')
    expect(cursor.value).toBeNull()
    expect(zoom).not.toHaveBeenCalled()
  })

  it('nothing is marked where a span means nothing', () => {
    const { press, pointing, zoom } = chart(false)
    press('ArrowLeft', true)
    press('Enter')
    expect(pointing.marked.value).toBeNull()
    expect(zoom).not.toHaveBeenCalled()
  })
})

it('a moment that another chart of the page points at is a step here, too', () => {
  const { cursor, pointing } = chart()
  cursor.value = 27
  expect(pointing.step.value).toBe(2)
})
