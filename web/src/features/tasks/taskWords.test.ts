// The result of a task in words.
import { expect, test } from 'vitest'
import { createI18n, type ComposerTranslation } from 'vue-i18n'
import type { Task } from '@/api/tasks'
import { compileMessage } from '@/locales/messages'
import tasks from '@/locales/en-US/tasks.json'
import { endText, resultCounts, resultText, taskTitle } from './taskWords'

const i18n = createI18n({ legacy: false, locale: 'en-US', messages: { 'en-US': { tasks } }, messageCompiler: (message) => compileMessage(message as string) })
const { t } = i18n.global as unknown as { t: ComposerTranslation }
const number = (value: number) => value.toLocaleString('en-US')

function task(task_type: string, result?: Record<string, unknown>, more: Partial<Task> = {}): Task {
  return { id: 1, group_id: 1, group_name: 'team', task_type, state: 'finished', is_running: false, cancellable: false, processed: 0, total: 0, started_at: '2026-11-26T00:00:00Z', result, ...more }
}

test('what was not is not told, but for what the task is about', () => {
  expect(resultText(task('KEY_IMPORT', { added_count: 0, ignored_count: 1_204, already_in_group: 1_204, duplicate_in_input: 0 }), t, number)).toBe('0 keys added · 1,204 already in the group')
  expect(resultText(task('KEY_DELETE', { deleted_count: 1, ignored_count: 0 }), t, number)).toBe('1 key deleted')
})

test('keys about which nothing was learned are not called bad', () => {
  expect(resultCounts(task('KEY_VALIDATION', { total_keys: 10, valid_keys: 4, invalid_keys: 6, undecided_keys: 5 }))).toEqual([
    { name: 'valid_keys', count: 4 },
    { name: 'invalid_keys', count: 1 },
    { name: 'undecided_keys', count: 5 },
  ])
})

test('a failure says why, beside what was done until then', () => {
  expect(endText(task('KEY_IMPORT', { added_count: 5 }, { state: 'failed', error: 'The database is full' }), t, number)).toBe('Import of keys in team failed: The database is full · 5 keys added')
})

test('an end without a result is told by itself', () => {
  expect(endText(task('KEY_DELETE', undefined, { state: 'interrupted' }), t, number)).toBe('Deletion of keys in team was interrupted')
})

test('a task of a later version has its own name and no made-up result', () => {
  const later = task('KEY_ROTATION', { rotated: 3 })
  expect(taskTitle(later, t)).toBe('KEY_ROTATION')
  expect(resultCounts(later)).toEqual([])
})
