// A span of time as it stands in the address: one of a few that end now, or two moments. Pure; `useTimeRange` ties it to a page.
import type { LocationQuery } from 'vue-router'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

export const PRESETS = ['15m', '1h', '6h', '24h', '7d', '30d'] as const
export type Preset = (typeof PRESETS)[number]

export type TimeRange = { preset: Preset } | { from: number; to: number }

export const DEFAULT_RANGE: TimeRange = { preset: '24h' }

/** How long each is, into what steps a chart cuts it, and how often what it shows is fetched anew. */
const MEASURES: Record<Preset, { lengthMs: number; stepMs: number; refreshMs: number }> = {
  '15m': { lengthMs: 15 * MINUTE_MS, stepMs: 10 * SECOND_MS, refreshMs: 10 * SECOND_MS },
  '1h': { lengthMs: HOUR_MS, stepMs: 30 * SECOND_MS, refreshMs: 15 * SECOND_MS },
  '6h': { lengthMs: 6 * HOUR_MS, stepMs: 3 * MINUTE_MS, refreshMs: 30 * SECOND_MS },
  '24h': { lengthMs: DAY_MS, stepMs: 15 * MINUTE_MS, refreshMs: 30 * SECOND_MS },
  '7d': { lengthMs: 7 * DAY_MS, stepMs: 2 * HOUR_MS, refreshMs: 2 * MINUTE_MS },
  '30d': { lengthMs: 30 * DAY_MS, stepMs: 6 * HOUR_MS, refreshMs: 5 * MINUTE_MS },
}

/** Steps of spans that were chosen freely: those that a clock or a calendar has lines for. */
const STEPS_MS = [SECOND_MS, 5 * SECOND_MS, 10 * SECOND_MS, 30 * SECOND_MS, MINUTE_MS, 3 * MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 7 * DAY_MS]
const STEPS_MAX = 120

/** Shorter than that there is nothing to see between two moments. */
const LENGTH_MIN_MS = 10 * SECOND_MS

export interface Span {
  from: number
  to: number
  stepMs: number
  /** `(to - from) / stepMs`, rounded up. */
  steps: number
}

export function isRelative(range: TimeRange): range is { preset: Preset } {
  return 'preset' in range
}

/** What `?range=` or `?from=&to=` says; what cannot be read is the default. */
export function parseRange(query: LocationQuery): TimeRange {
  const from = moment(query.from)
  const to = moment(query.to)
  if (from !== null && to !== null && to - from >= LENGTH_MIN_MS) return { from, to }
  const preset = PRESETS.find((preset) => preset === query.range)
  return preset ? { preset } : DEFAULT_RANGE
}

/** The part of an address that says it. The default needs none. */
export function rangeQuery(range: TimeRange): { range?: string; from?: string; to?: string } {
  if (!isRelative(range)) return { range: undefined, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() }
  const isDefault = isRelative(DEFAULT_RANGE) && range.preset === DEFAULT_RANGE.preset
  return { range: isDefault ? undefined : range.preset, from: undefined, to: undefined }
}

/** For keys of queries: the same as long as the same is meant. */
export function rangeKey(range: TimeRange): string {
  return isRelative(range) ? range.preset : `${range.from}-${range.to}`
}

/**
 * From when until when, in steps. A relative span ends with the step that is not over yet, so that steps do not move under
 * the reader each time: at ten past, the hour began at the last line of the clock.
 *
 * @param offsetMinutes of local time to UTC as `Date.getTimezoneOffset` has it: days begin at the reader's midnight.
 */
export function spanOf(range: TimeRange, now: number, offsetMinutes = new Date(now).getTimezoneOffset()): Span {
  if (!isRelative(range)) {
    const stepMs = stepFor(range.to - range.from)
    return { ...range, stepMs, steps: Math.ceil((range.to - range.from) / stepMs) }
  }
  const { lengthMs, stepMs } = MEASURES[range.preset]
  const shiftMs = offsetMinutes * MINUTE_MS
  const to = Math.ceil((now - shiftMs) / stepMs) * stepMs + shiftMs
  return { from: to - lengthMs, to, stepMs, steps: lengthMs / stepMs }
}

/** The span of equal length before. */
export function spanBefore(span: Span): Span {
  return { ...span, from: span.from - (span.to - span.from), to: span.from }
}

export function lengthOf(range: TimeRange): number {
  return isRelative(range) ? MEASURES[range.preset].lengthMs : range.to - range.from
}

/** How often to look again; what is over does not change. */
export function refreshMsOf(range: TimeRange, now = Date.now()): number | null {
  if (isRelative(range)) return MEASURES[range.preset].refreshMs
  return range.to > now ? 30 * SECOND_MS : null
}

/** Of two ends of a drag, in any order; `null` where they are too close to mean a span. */
export function rangeBetween(a: number, b: number): TimeRange | null {
  const [from, to] = a < b ? [a, b] : [b, a]
  return to - from >= LENGTH_MIN_MS ? { from: Math.round(from), to: Math.round(to) } : null
}

function stepFor(lengthMs: number): number {
  return STEPS_MS.find((step) => lengthMs / step <= STEPS_MAX) ?? Math.ceil(lengthMs / STEPS_MAX / DAY_MS) * DAY_MS
}

function moment(value: LocationQuery[string] | undefined): number | null {
  if (typeof value !== 'string') return null
  // Also the plain milliseconds that other tools put into links.
  const ms = /^\d{12,14}$/.test(value) ? Number(value) : Date.parse(value)
  return Number.isFinite(ms) ? ms : null
}

/** As `<input type="datetime-local">` has it, in the browser's zone, to the second. */
export function toLocalField(ms: number): string {
  const date = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `null`: it is no moment. */
export function fromLocalField(text: string): number | null {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? new Date(text).getTime() : Number.NaN
  return Number.isFinite(ms) ? ms : null
}
