// A task that is over in a moment, waited for where it was begun.
import { fetchTask, type Task } from '@/api/tasks'
import { showInPlace } from './taskEnds'

const LOOK_EVERY_MS = 250

/** The task at its end; to tell it is the caller's business. */
export async function waitForTask(begun: Task): Promise<Task> {
  const leaveToFrame = showInPlace(begun.id)
  try {
    let task = begun
    while (task.is_running) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
      task = await fetchTask(begun.id)
    }
    return task
  } catch (error) {
    leaveToFrame()
    throw error
  }
}
