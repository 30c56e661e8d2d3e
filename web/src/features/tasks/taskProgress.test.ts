// The rate of a task and the time it still takes, from a few answers of the server.
import { expect, test } from 'vitest'
import type { Task } from '@/api/tasks'
import { createProgressMeter } from './taskProgress'

function task(processed: number, more: Partial<Task> = {}): Task {
  return { id: 1, group_id: 1, group_name: 'g', task_type: 'KEY_IMPORT', state: 'running', is_running: true, cancellable: true, processed, total: 1_000, started_at: '2026-11-26T00:00:00Z', ...more }
}

test('a task seen once has a share, but no rate yet', () => {
  const meter = createProgressMeter()
  meter.note(task(250), 0)
  expect(meter.of(task(250))).toEqual({ share: 0.25, perSecond: null, leftMs: null })
})

test('the rate is what was done in the time watched, and tells the time left', () => {
  const meter = createProgressMeter()
  meter.note(task(100), 0)
  meter.note(task(300), 2_000)
  expect(meter.of(task(300))).toEqual({ share: 0.3, perSecond: 100, leftMs: 7_000 })
})

test('what was long ago does not count: a task that has become slow is slow', () => {
  const meter = createProgressMeter()
  meter.note(task(0), 0)
  meter.note(task(500), 1_600)
  meter.note(task(510), 30_000)
  meter.note(task(520), 40_000)
  expect(meter.of(task(520)).perSecond).toBe(1)
})

test('a task that stands still promises no end', () => {
  const meter = createProgressMeter()
  meter.note(task(500), 0)
  meter.note(task(500), 5_000)
  expect(meter.of(task(500))).toEqual({ share: 0.5, perSecond: null, leftMs: null })
})

test('a task that does not know yet how much there is has no share', () => {
  expect(createProgressMeter().of(task(0, { total: 0 })).share).toBeNull()
})
