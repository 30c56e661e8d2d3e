// How the attempts of a request lie behind each other in time. Pure.
import type { LogEntry } from '@/api/logs'

export interface WaterfallBar {
  entry: LogEntry
  /** Since the request came. An attempt begins where the one before ended: its entry tells when it was over. */
  fromMs: number
  toMs: number
  /** When the first byte of the answer was sent on; `null`: none was, or it is not known. */
  firstByteMs: number | null
}

export interface Waterfall {
  totalMs: number
  bars: WaterfallBar[]
}

/** @param attempts of one request, the first one first. */
export function waterfallOf(attempts: readonly LogEntry[]): Waterfall {
  let at = 0
  const bars = attempts.map((entry) => {
    const fromMs = Math.min(at, entry.duration_ms)
    const toMs = Math.max(entry.duration_ms, fromMs)
    at = toMs
    const first = entry.first_byte_ms
    return { entry, fromMs, toMs, firstByteMs: first !== null && first >= fromMs && first <= toMs ? first : null }
  })
  return { totalMs: at, bars }
}

/** Shares of the whole, for drawing: until the first byte, and behind it. */
export function sharesOf(bar: WaterfallBar, totalMs: number): { from: number; waiting: number; answering: number } {
  const whole = Math.max(totalMs, 1)
  const middle = bar.firstByteMs ?? bar.toMs
  return { from: bar.fromMs / whole, waiting: (middle - bar.fromMs) / whole, answering: (bar.toMs - middle) / whole }
}
