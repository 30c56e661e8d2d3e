// Entries that came while nobody wanted the list to move: a bounded number of them, and whether some were let go. Pure.
import type { LogEntry } from '@/api/logs'

/** More are not worth scrolling through; the list is fetched anew instead. */
export const BUFFERED_MAX = 1_000

export class LiveBuffer {
  private entries: LogEntry[] = []
  private lost = false

  /** @param entries in the order in which they came. */
  add(entries: readonly LogEntry[]): void {
    this.entries.push(...entries)
    if (this.entries.length > BUFFERED_MAX) {
      this.entries = this.entries.slice(-BUFFERED_MAX)
      this.lost = true
    }
  }

  /** What was missed while nobody listened: it is older than what came since. @param entries the newest first. */
  addOlder(entries: readonly LogEntry[]): void {
    const known = new Set(this.entries.map(({ id }) => id))
    const came = this.entries
    this.entries = entries.filter(({ id }) => !known.has(id)).reverse()
    this.add(came)
  }

  get count(): number {
    return this.entries.length
  }

  /** Whether there were more than are kept. */
  get hasLost(): boolean {
    return this.lost
  }

  /** All of them, the newest first, and leaves none. */
  take(): LogEntry[] {
    const taken = this.entries.reverse()
    this.clear()
    return taken
  }

  clear(): void {
    this.entries = []
    this.lost = false
  }
}
