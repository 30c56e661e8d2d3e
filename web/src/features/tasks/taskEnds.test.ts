// Every end is told, and told once.
import { expect, test } from 'vitest'
import type { Task } from '@/api/tasks'
import { createEndWatch } from './taskEnds'

function task(id: number, state: string): Task {
  return { id, group_id: 1, group_name: 'g', task_type: 'KEY_IMPORT', state, is_running: state === 'running', cancellable: false, processed: 0, total: 0, started_at: '2026-11-26T00:00:00Z' }
}
const ids = (tasks: Task[]) => tasks.map(({ id }) => id)

test('what was over before the console was opened is history', () => {
  expect(createEndWatch().ended([task(2, 'finished'), task(1, 'failed')])).toEqual([])
})

test('a task that ran and ended is told once, however it ended', () => {
  const watch = createEndWatch()
  watch.ended([task(2, 'running'), task(1, 'running')])
  expect(ids(watch.ended([task(2, 'failed'), task(1, 'running')]))).toEqual([2])
  expect(watch.ended([task(2, 'failed'), task(1, 'running')])).toEqual([])
  expect(ids(watch.ended([task(2, 'failed'), task(1, 'cancelled')]))).toEqual([1])
})

test('one that began and ended between two looks is told too', () => {
  const watch = createEndWatch()
  watch.ended([task(1, 'finished')])
  expect(ids(watch.ended([task(3, 'finished'), task(2, 'failed'), task(1, 'finished')]))).toEqual([2, 3])
  expect(watch.ended([task(3, 'finished'), task(2, 'failed')])).toEqual([])
})

test('the first task of all is told', () => {
  const watch = createEndWatch()
  watch.ended([])
  expect(ids(watch.ended([task(1, 'finished')]))).toEqual([1])
})

test('a task that runs for long is asked for by itself when newer ones push it off the page', () => {
  const watch = createEndWatch()
  watch.ended([task(1, 'running')])
  expect(watch.missingIn([task(22, 'finished')])).toEqual([1])
  expect(watch.missingIn([task(1, 'running')])).toEqual([])
})
