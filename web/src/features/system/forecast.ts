// How many entries the log will hold once it is as old as it may get.
import type { SystemFacts } from '@/api/system'

const DAY_MS = 86_400_000
/** A younger log says too little about a day. */
const AGE_MIN_MS = DAY_MS / 4

/** `null`: nobody can tell, or it is as old as it gets already. */
export function rowsAtRetention({ database, retention_days: days }: Pick<SystemFacts, 'database' | 'retention_days'>, now = Date.now()): number | null {
  if (days === 0 || !database.log_rows || !database.oldest_log_entry_at) return null
  const ageMs = now - Date.parse(database.oldest_log_entry_at)
  if (ageMs < AGE_MIN_MS || ageMs >= days * DAY_MS) return null
  return Math.round((database.log_rows / ageMs) * days * DAY_MS)
}
