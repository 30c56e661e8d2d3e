// The figures of a summary as charts and cards need them. Pure.
import type { LogFigures, LogSummary, Percentiles } from '@/api/logs'
import type { ChartSeries, Tone } from '@/ui/chart/geometry'

export interface Timeline {
  begins: number[]
  stepMs: number
  /** Of each step, whether the log knows it: it had begun, and the log reaches back so far. */
  isKnown: boolean[]
}

export function timelineOf(summary: LogSummary, now: number): Timeline {
  const stepMs = summary.bucket_seconds * 1_000
  const begins = summary.series.map(({ begin }) => Date.parse(begin))
  const oldest = summary.oldest_entry_at === null ? null : Date.parse(summary.oldest_entry_at)
  return { begins, stepMs, isKnown: begins.map((begin) => begin < now && oldest !== null && begin + stepMs > oldest) }
}

export function counts(summary: LogSummary, { isKnown }: Timeline, field: 'requests' | 'successes' | 'failures' | 'aborted' | 'retries'): (number | null)[] {
  return summary.series.map((figures, step) => (isKnown[step] ? figures[field] : null))
}

type Measure = 'duration_ms' | 'first_byte_ms' | 'overhead_us'

/** Milliseconds, whatever the measure is in. */
export function percentile(figures: LogFigures | null, measure: Measure, rank: keyof Percentiles): number | null {
  const value = figures?.[measure]?.[rank]
  return value === undefined ? null : measure === 'overhead_us' ? value / 1_000 : value
}

const RANKS: { rank: keyof Percentiles; tone: Tone }[] = [
  { rank: 'p50', tone: 'series-1' },
  { rank: 'p90', tone: 'series-3' },
  { rank: 'p95', tone: 'series-2' },
  { rank: 'p99', tone: 'series-5' },
]

/** A line a percentile. */
export function percentileSeries(summary: LogSummary, measure: Measure, write: (ms: number | null) => string): ChartSeries[] {
  return RANKS.map(({ rank, tone }) => ({
    key: rank,
    name: rank.toUpperCase(),
    kind: 'line',
    tone,
    values: summary.series.map((figures) => percentile(figures, measure, rank)),
    whole: write(percentile(summary.totals, measure, rank)),
  }))
}

/** `null` where nobody asked: no share of nothing. */
export function failureShare(figures: Pick<LogFigures, 'requests' | 'failures'> | null): number | null {
  return figures && figures.requests > 0 ? figures.failures / figures.requests : null
}

/** Over the part of a span that has passed and that the log knows. */
export function perMinute(summary: LogSummary, now: number): number | null {
  if (summary.oldest_entry_at === null) return null
  const from = Math.max(Date.parse(summary.from), Date.parse(summary.oldest_entry_at))
  const minutes = (Math.min(Date.parse(summary.to), now) - from) / 60_000
  return minutes > 0 ? summary.totals.requests / Math.max(minutes, 1) : null
}

export function perMinuteBefore({ previous, from, to }: LogSummary): number | null {
  return previous ? previous.requests / Math.max((Date.parse(to) - Date.parse(from)) / 60_000, 1) : null
}

/** What of an error's message is the same each time: the longest piece without numbers, ids, addresses and quoted texts. */
export function lastingPart(message: string): string | null {
  const pieces = message.split(/"[^"]{1,64}"|'[^']{1,64}'|`[^`]{1,64}`|\S*(?:\d|\*|:\/\/)\S*/u)
  const longest = pieces.map((piece) => piece.trim()).reduce((best, piece) => (piece.length > best.length ? piece : best), '')
  return longest.length >= PIECE_MIN ? longest.slice(0, PIECE_MAX) : null
}

/** Shorter ones occur in messages of all kinds. */
const PIECE_MIN = 8
/** So long a filter of the log may be. */
const PIECE_MAX = 200
