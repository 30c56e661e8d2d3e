// Entries of the log as rows: attempts that others followed lie under the last one of their request. Pure.
import type { LogEntry } from '@/api/logs'

export interface EntryRow {
  entry: LogEntry
  /** Shown below the entry whose request it belongs to. */
  isAttempt: boolean
  /** Attempts of the same request that can be unfolded. */
  hidden: number
}

/**
 * @param entries the newest first, as the log has them.
 * @param unfolded the attempts of requests that somebody unfolded, all of them, by the id of the request.
 */
export function foldAttempts(entries: readonly LogEntry[], unfolded: ReadonlyMap<string, readonly LogEntry[]>): EntryRow[] {
  const heads = new Map<string, LogEntry>()
  for (const entry of entries) {
    const id = entry.request_id
    // The last attempt stands for the request; while it is under way, or filtered out, the newest of the others.
    if (id !== null && (entry.request_type === 'final' || !heads.has(id))) heads.set(id, entry)
  }
  const rows: EntryRow[] = []
  for (const entry of entries) {
    const id = entry.request_id
    if (id !== null && heads.get(id) !== entry) continue
    rows.push({ entry, isAttempt: false, hidden: Math.max((entry.attempt ?? 1) - 1, 0) })
    const others = id === null ? undefined : unfolded.get(id)
    // The newest first, like all rows.
    for (const other of [...(others ?? [])].reverse()) if (other.id !== entry.id) rows.push({ entry: other, isAttempt: true, hidden: 0 })
  }
  return rows
}

/** Every entry a row of its own. */
export function flatRows(entries: readonly LogEntry[]): EntryRow[] {
  return entries.map((entry) => ({ entry, isAttempt: false, hidden: 0 }))
}
