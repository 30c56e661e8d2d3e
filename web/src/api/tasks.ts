// Long jobs: what is asked of the server about them.
import { server, unwrap, type Schemas } from './client'

/** What the server tells of a task, with what it did in numbers, as docs/API.md lists them by type. */
export type Task = Omit<Schemas['Task'], 'result'> & { result?: Record<string, unknown> }

/** So many the server remembers at most, over all groups. */
export const TASKS_MAX = 1_000


/** Newest first. */
export async function fetchTasks(wanted: { groupId?: number; count: number }, signal?: AbortSignal): Promise<Task[]> {
  const page = await unwrap(server.GET('/api/tasks', { params: { query: { group_id: wanted.groupId, page: 1, page_size: wanted.count } }, signal }))
  return page.items as Task[]
}

export async function fetchTask(id: number, signal?: AbortSignal): Promise<Task> {
  return (await unwrap(server.GET('/api/tasks/{id}', { params: { path: { id } }, signal }))) as Task
}

export async function cancelTask(id: number): Promise<Task> {
  return (await unwrap(server.POST('/api/tasks/{id}/cancel', { params: { path: { id } } }))) as Task
}
