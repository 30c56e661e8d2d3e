// What a task is called, how it stands, and what came of it, in words.
import { Ban, CircleAlert, CircleCheck, CirclePause, CircleX, LoaderCircle } from '@lucide/vue'
import type { Component } from 'vue'
import type { ComposerTranslation } from 'vue-i18n'
import type { Task } from '@/api/tasks'
import type { Tone } from '@/ui/UiBadge.vue'

export const TASK_TYPES = ['KEY_IMPORT', 'KEY_DELETE', 'KEY_VALIDATION', 'KEY_UPDATE'] as const
export const TASK_STATES = ['running', 'cancelling', 'finished', 'cancelled', 'failed', 'interrupted'] as const

export const STATE_LOOKS: Record<string, { tone: Tone; icon: Component }> = {
  running: { tone: 'accent', icon: LoaderCircle },
  cancelling: { tone: 'warning', icon: CirclePause },
  finished: { tone: 'good', icon: CircleCheck },
  cancelled: { tone: 'neutral', icon: Ban },
  failed: { tone: 'critical', icon: CircleX },
  interrupted: { tone: 'critical', icon: CircleAlert },
}

/** A type of a later version is called by its own name. */
export function taskTitle(task: Task, t: ComposerTranslation): string {
  return TASK_TYPES.some((type) => type === task.task_type) ? t(`tasks.types.${task.task_type}`) : task.task_type
}

export function taskState(task: Task, t: ComposerTranslation): string {
  return TASK_STATES.some((state) => state === task.state) ? t(`tasks.states.${task.state}`) : task.state
}

/** Counts in the order in which they are told. The first of a type is told also when it is none. */
const COUNTS: Record<string, readonly string[]> = {
  KEY_IMPORT: ['added_count', 'already_in_group', 'duplicate_in_input', 'unsendable', 'unreadable', 'valid_keys', 'invalid_keys', 'undecided_keys'],
  KEY_DELETE: ['deleted_count', 'ignored_count'],
  KEY_VALIDATION: ['valid_keys', 'invalid_keys', 'undecided_keys'],
  KEY_UPDATE: ['changed_count', 'already_in_target', 'ignored_count'],
}

export interface ResultCount {
  name: string
  count: number
}

export function resultCounts(task: Pick<Task, 'task_type' | 'result'>): ResultCount[] {
  const result = task.result
  if (!result) return []
  const number = (name: string) => (typeof result[name] === 'number' ? result[name] : null)
  const counts = (COUNTS[task.task_type] ?? []).flatMap((name, at) => {
    let count = number(name)
    if (count === null) return []
    // For the original a key about which nothing was learned is invalid too.
    if (name === 'invalid_keys') count -= number('undecided_keys') ?? 0
    if (task.task_type === 'KEY_UPDATE' && name === 'ignored_count') count -= number('already_in_target') ?? 0
    return count > 0 || at === 0 ? [{ name, count }] : []
  })
  return counts
}

export function resultText(task: Task, t: ComposerTranslation, number: (value: number) => string): string {
  return resultCounts(task)
    .map(({ name, count }) => t(`tasks.counts.${name}`, { n: number(count) }, count))
    .join(t('tasks.counts.separator'))
}

/** Everything about the end of a task, for a message: which, how it ended, what came of it and why it failed. */
export function endText(task: Task, t: ComposerTranslation, number: (value: number) => string): string {
  const what = t(`tasks.ended.${task.state}`, { task: taskTitle(task, t), group: task.group_name })
  const details = [task.error, resultText(task, t, number)].filter(Boolean)
  return details.length > 0 ? t('tasks.ended.with_result', { what, result: details.join(t('tasks.counts.separator')) }) : what
}

export function hasFailed(task: Task): boolean {
  return task.state === 'failed' || task.state === 'interrupted'
}
