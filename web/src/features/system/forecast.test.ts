// What is foretold of the log.
import { expect, test } from 'vitest'
import { rowsAtRetention } from './forecast'

const NOW = Date.parse('2026-11-26T00:00:00Z')
const facts = (log_rows: number | null, oldest: string | null, retention_days = 7) => ({ retention_days, database: { engine: 'SQLite', version: null, size_bytes: null, log_bytes: null, log_rows, oldest_log_entry_at: oldest } })

test('a log that still grows is foretold by its growth', () => expect(rowsAtRetention(facts(2000, '2026-11-24T00:00:00Z'), NOW)).toBe(7000))

test('nothing is foretold of what is unknown, too young, as old as it gets, or kept for ever', () => {
  for (const unknown of [facts(null, '2026-11-24T00:00:00Z'), facts(10, null), facts(10, '2026-11-25T23:00:00Z'), facts(10, '2026-11-18T00:00:00Z'), facts(10, '2026-11-24T00:00:00Z', 0)]) expect(rowsAtRetention(unknown, NOW)).toBeNull()
})
