// Which tasks came to their end since one looked last, so that each is told once and none twice.
import type { Task } from '@/api/tasks'

export function createEndWatch() {
  let newestId: number | null = null
  let running = new Set<number>()

  return {
    /** Of those known to run, those that a page of the newest tasks lacks. */
    missingIn: (tasks: readonly Task[]): number[] => [...running].filter((id) => !tasks.some((task) => task.id === id)),

    /** Takes what the server tells now; answers those that ended since, oldest first. What was over before the first look is history. */
    ended(tasks: readonly Task[]): Task[] {
      const isFirstLook = newestId === null
      const known = newestId ?? 0
      const ended = tasks.filter((task) => !task.is_running && !isFirstLook && (running.has(task.id) || task.id > known))
      running = new Set(tasks.filter((task) => task.is_running).map((task) => task.id))
      newestId = Math.max(known, ...tasks.map((task) => task.id))
      return ended.sort((a, b) => a.id - b.id)
    },
  }
}

/** Tasks whose end is shown where they were begun: no message is needed for them. */
const shownInPlace = new Set<number>()

export function showInPlace(id: number): () => void {
  shownInPlace.add(id)
  return () => shownInPlace.delete(id)
}

export function isShownInPlace(id: number): boolean {
  return shownInPlace.has(id)
}
