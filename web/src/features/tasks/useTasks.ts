// Tasks as the console holds them: the newest, kept fresh while one runs, and the whole history for its page.
import { useMutation, useQuery, useQueryCache } from '@pinia/colada'
import { computed, onScopeDispose, ref, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { useI18n } from 'vue-i18n'
import { TASKS_MAX, cancelTask, fetchTask, fetchTasks, type Task } from '@/api/tasks'
import { useErrorText } from '@/composables/useErrorText'
import { useFormat } from '@/composables/useFormat'
import { useLiveQuery } from '@/composables/useLiveQuery'
import { allTexts } from '@/locales'
import { useToasts } from '@/ui/toasts'
import { createEndWatch, isShownInPlace, showInPlace } from './taskEnds'
import { progressMeter } from './taskProgress'
import { endText, hasFailed } from './taskWords'

export const TASK_KEYS = {
  all: ['tasks'],
  recent: ['tasks', 'recent'],
  history: ['tasks', 'history'],
  one: (id: number) => ['tasks', 'one', id],
} as const

/** While something runs, and else: somebody else may have begun something. */
const RUNNING_EVERY_MS = 1_500
const IDLE_EVERY_MS = 20_000
const ONE_EVERY_MS = 700
/** More do not run at once as a rule; what runs and is older is asked for by itself. */
const RECENT_COUNT = 20

/** What a task that ended makes old: keys, and the figures of groups. */
export function useTaskEffects(): () => Promise<unknown> {
  const cache = useQueryCache()
  // A query that fails, or that another one overtakes, says so where it is shown.
  return () => Promise.allSettled([['keys'], ['groups'], [...TASK_KEYS.history]].map((key) => cache.invalidateQueries({ key })))
}

/** The newest tasks as last fetched by the frame. */
export function useRecentTasks() {
  return useQuery({ key: [...TASK_KEYS.recent], query: ({ signal }) => fetchTasks({ count: RECENT_COUNT }, signal) })
}

/** Follows what runs and tells each end once. For the frame of the console alone. */
export function useTaskWatch() {
  const { t } = useI18n()
  const toasts = useToasts()
  const format = useFormat()
  const refreshEffects = useTaskEffects()
  const ends = createEndWatch()

  async function fetchRecent(signal: AbortSignal): Promise<Task[]> {
    const newest = await fetchTasks({ count: RECENT_COUNT }, signal)
    const older = await Promise.all(ends.missingIn(newest).map((id) => fetchTask(id, signal).catch(() => null)))
    return [...newest, ...older.filter((task) => task !== null)]
  }

  const everyMs = ref(IDLE_EVERY_MS)
  const recent = useLiveQuery<Task[]>({ key: [...TASK_KEYS.recent], query: ({ signal }) => fetchRecent(signal) }, everyMs)
  const running = computed(() => (recent.data.value ?? []).filter((task) => task.is_running))
  watch(running, (tasks) => (everyMs.value = tasks.length > 0 ? RUNNING_EVERY_MS : IDLE_EVERY_MS), { immediate: true })

  watch(
    recent.data,
    (tasks) => {
      if (!tasks) return
      for (const task of tasks) progressMeter.note(task)
      const ended = ends.ended(tasks)
      if (ended.length > 0) void refreshEffects()
      const untold = ended.filter((task) => !isShownInPlace(task.id))
      if (untold.length > 0) void allTexts().then(() => untold.forEach(tell))
    },
    { immediate: true },
  )

  function tell(task: Task): void {
    const text = endText(task, t, format.number)
    if (hasFailed(task)) toasts.problem(text)
    else if (task.state === 'finished') toasts.done(text)
    else toasts.note(text)
  }
  return { running }
}

/** One task from its beginning to its end, shown where it was begun. */
export function useTask(id: MaybeRefOrGetter<number>) {
  const refreshEffects = useTaskEffects()
  const everyMs = ref<number | null>(ONE_EVERY_MS)
  const query = useLiveQuery<Task>(() => ({ key: [...TASK_KEYS.one(toValue(id))], query: ({ signal }) => fetchTask(toValue(id), signal), staleTime: 0 }), everyMs)
  const task = computed(() => query.data.value ?? null)
  const isOver = computed(() => task.value !== null && !task.value.is_running)
  watch(isOver, (over) => (everyMs.value = over ? null : ONE_EVERY_MS), { immediate: true })
  watch(task, (now, before) => {
    if (now) progressMeter.note(now)
    if (now && !now.is_running && before?.is_running) void refreshEffects()
  })
  let stop = () => {}
  watch(
    () => toValue(id),
    (shown) => {
      stop()
      stop = showInPlace(shown)
    },
    { immediate: true },
  )
  // An end that was seen here needs no message, also after this is closed.
  onScopeDispose(() => isOver.value || stop())
  return { ...query, task, isOver }
}

/** All that the server remembers, with what runs as it is now. */
export function useTaskHistory() {
  const recent = useRecentTasks()
  const history = useQuery({ key: [...TASK_KEYS.history], query: ({ signal }) => fetchTasks({ count: TASKS_MAX }, signal), staleTime: 0 })
  const tasks = computed<Task[] | undefined>(() => {
    if (!history.data.value) return undefined
    const fresh = new Map((recent.data.value ?? []).map((task) => [task.id, task]))
    const known = history.data.value.map((task) => {
      const now = fresh.get(task.id)
      // An end is an end, whichever of the two was asked later.
      return now && task.is_running ? now : task
    })
    const newer = [...fresh.values()].filter((task) => !history.data.value?.some(({ id }) => id === task.id))
    return [...known, ...newer].sort((a, b) => b.id - a.id)
  })
  return { ...history, tasks }
}

export function useCancelTask() {
  const cache = useQueryCache()
  const toasts = useToasts()
  const errorText = useErrorText()
  return useMutation({
    mutation: (id: number) => cancelTask(id),
    onError: (error) => toasts.problem(errorText(error)),
    onSettled: () => Promise.allSettled([cache.invalidateQueries({ key: [...TASK_KEYS.all] })]),
  })
}

/** After one was begun: the frame shows it at once. */
export function useTaskBegun(): () => Promise<unknown> {
  const cache = useQueryCache()
  return () => Promise.allSettled([cache.invalidateQueries({ key: [...TASK_KEYS.recent] })])
}
