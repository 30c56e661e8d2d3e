// How fast a task goes and when it will be over, seen from what it told before. By the browser's clock alone, which the server need not share.
import type { Task } from '@/api/tasks'

interface Sample {
  atMs: number
  processed: number
}

/** The rate is that of so much time: what was long ago says little about what comes. */
const RATE_SPAN_MS = 20_000
/** A rate from less time is a guess. */
const RATE_SPAN_MIN_MS = 1_500

export interface Progress {
  /** 0 to 1; `null` as long as the task does not know how much there is. */
  share: number | null
  perSecond: number | null
  leftMs: number | null
}

export function createProgressMeter() {
  const samples = new Map<number, Sample[]>()

  return {
    /** Notes where a task stands. Call it once an answer. */
    note(task: Task, atMs = Date.now()): void {
      if (!task.is_running) {
        samples.delete(task.id)
        return
      }
      const known = samples.get(task.id) ?? []
      const last = known.at(-1)
      // Asked by two at once: one answer is enough.
      if (last && last.processed === task.processed && atMs - last.atMs < RATE_SPAN_MIN_MS) return
      const young = known.filter((sample) => atMs - sample.atMs <= RATE_SPAN_MS)
      samples.set(task.id, [...young, { atMs, processed: task.processed }])
    },
    of(task: Task): Progress {
      const share = task.total > 0 ? Math.min(task.processed / task.total, 1) : null
      const perSecond = rateOf(samples.get(task.id) ?? [])
      const left = task.total - task.processed
      return { share, perSecond, leftMs: perSecond && share !== null && left > 0 ? (left / perSecond) * 1_000 : null }
    },
  }
}

/** `null` where nothing moved yet, or nobody has watched for long enough. */
function rateOf(samples: readonly Sample[]): number | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (!first || !last || last.atMs - first.atMs < RATE_SPAN_MIN_MS) return null
  const rate = ((last.processed - first.processed) * 1_000) / (last.atMs - first.atMs)
  return rate > 0 ? rate : null
}

/** The one of the console. */
export const progressMeter = createProgressMeter()
