// What a chart is made of before it is drawn: series, stacks, steps of time. Pure.

/** Colours of tokens.css. */
export type Tone = 'series-1' | 'series-2' | 'series-3' | 'series-4' | 'series-5' | 'good' | 'critical' | 'warning' | 'ink-muted' | 'line-strong'

export interface ChartSeries {
  key: string
  name: string
  /** One a step; `null`: not known, which is no zero and leaves a gap. */
  values: readonly (number | null)[]
  tone: Tone
  /** Bars of one chart stand on each other, the first at the bottom. */
  kind: 'bar' | 'line'
  isDashed?: boolean
  /** Of the whole span; shown in the legend as long as no step is pointed at. */
  whole?: string
}

/** The series as they are drawn: bars as the sums up to and with their own, the tallest first so that it lies behind. */
export function drawn(series: readonly ChartSeries[]): { series: ChartSeries; values: (number | null)[] }[] {
  const sums: number[] = []
  const bars = series
    .filter(({ kind }) => kind === 'bar')
    .map((bar) => ({
      series: bar,
      values: bar.values.map((value, step) => {
        if (value === null) return null
        sums[step] = (sums[step] ?? 0) + value
        return sums[step]
      }),
    }))
  const lines = series.filter(({ kind }) => kind === 'line').map((line) => ({ series: line, values: [...line.values] }))
  return [...bars.reverse(), ...lines]
}

/** The first step that is not over at a moment; `null`: all are. */
export function firstRunning(begins: readonly number[], stepMs: number, now: number): number | null {
  const step = begins.findIndex((begin) => begin + stepMs > now)
  return step < 0 ? null : step
}

/** The step that a moment lies in, the nearest where it lies outside. */
export function stepAt(begins: readonly number[], stepMs: number, moment: number): number {
  const first = begins[0]
  if (first === undefined) return 0
  return Math.min(Math.max(Math.floor((moment - first) / stepMs), 0), begins.length - 1)
}

/** From the begin of one step to the end of another, in milliseconds, whichever comes first. */
export function spanOfSteps(begins: readonly number[], stepMs: number, a: number, b: number): { from: number; to: number } | null {
  const from = begins[Math.min(a, b)]
  const last = begins[Math.max(a, b)]
  return from === undefined || last === undefined ? null : { from, to: last + stepMs }
}

export function isEmpty(series: readonly ChartSeries[]): boolean {
  return series.every(({ values }) => values.every((value) => value === null))
}

/** Distances of the lines of an axis that counts whole things. */
export const WHOLE_STEPS: number[] = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()

/** Of times in milliseconds: those of people, not of decimals. */
export const DURATION_STEPS: number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((ms) => [ms / 1_000, ms]),
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300].map((minutes) => minutes * 60_000),
].sort((a, b) => a - b)
