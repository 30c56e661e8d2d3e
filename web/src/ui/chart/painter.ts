// Draws a chart's axes and series on a canvas, in the colours of the theme.
import type uPlot from 'uplot'
import { drawn, type ChartSeries, type Tone } from './geometry'

export interface Picture {
  begins: readonly number[]
  stepMs: number
  series: readonly ChartSeries[]
  /** The first step that is not over. */
  running: number | null
  /** The label at a line of the upright axis. */
  tick: (value: number) => string
  /** Distances that its lines may have. */
  ticks: number[]
  /** The label of a moment; `isNewDay` where the clock begins anew, `stepMs` between labels. */
  moment: (ms: number, isNewDay: boolean, stepMs: number) => string
}

export interface Box {
  left: number
  top: number
  width: number
  height: number
}

const FONT_PX = 11
const MINUTE_MS = 60_000
const HATCH_GAP_PX = 6

/** What tokens.css says a colour is, in words that a canvas knows. */
function colourReader(host: HTMLElement): (tone: Tone | 'line') => string {
  return (tone) => {
    // A new one each time: what changes its colour may do so bit by bit.
    const probe = document.createElement('span')
    probe.style.color = `var(--${tone})`
    host.append(probe)
    const { color } = getComputedStyle(probe)
    probe.remove()
    return color
  }
}

/** `current` is asked at every drawing, so that texts follow the language. */
export function paint(Plot: typeof uPlot, host: HTMLElement, size: { width: number; height: number }, current: () => Picture, placed: (box: Box) => void): uPlot {
  const colourOf = colourReader(host)
  const style = getComputedStyle(host)
  const font = `${FONT_PX}px ${style.fontFamily}`
  const [muted, line] = [colourOf('ink-muted'), colourOf('line')]
  const layers = drawn(current().series)

  const bars = Plot.paths.bars?.({ size: [0.84, 40, 1], gap: 0 })
  const straight = Plot.paths.linear?.()

  const options: uPlot.Options = {
    ...size,
    ms: 1,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: () => edges(current()) },
      y: { range: (_, _min, max) => [0, max > 0 ? (Plot.rangeNum(0, max, 0.08, true)[1] ?? 1) : 1] },
    },
    axes: [
      {
        stroke: muted,
        font,
        size: 24,
        gap: 4,
        space: 84,
        grid: { show: false },
        ticks: { stroke: line, size: 4, width: 1 },
        values: (_, splits, _axis, _space, stepMs) => splits.map((ms) => current().moment(ms, isNewDay(ms, stepMs), stepMs)),
      },
      {
        stroke: muted,
        font,
        gap: 6,
        space: 36,
        incrs: () => current().ticks,
        grid: { stroke: line, width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((value) => current().tick(value)),
        size: (plot, values) => 10 + widest(plot, font, values ?? []),
      },
    ],
    series: [
      {},
      ...layers.map(({ series }): uPlot.Series => {
        const colour = colourOf(series.tone)
        return series.kind === 'bar'
          ? { paths: bars, fill: colour, width: 0, points: { show: false } }
          : { paths: straight, stroke: colour, width: 1.75, dash: series.isDashed ? [4, 4] : undefined, spanGaps: false, points: { show: true, filter: (plot, index) => lonely(plot.data[index] ?? []), size: 5, fill: colour, width: 0 } }
      }),
    ],
    hooks: {
      drawAxes: [(plot) => hatch(plot, current(), line)],
      draw: [(plot) => placed(boxOf(plot, Plot.pxRatio))],
    },
  }
  const plot = new Plot(options, dataOf(current()), host)
  return plot
}

/** Each step stands at its middle. */
export function dataOf({ begins, stepMs, series }: Picture): uPlot.AlignedData {
  return [begins.map((begin) => begin + stepMs / 2), ...drawn(series).map(({ values }) => values)]
}

/** A value between two gaps makes no line: it gets a point. */
function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const isKnown = (at: number) => values[at] !== null && values[at] !== undefined
  return Array.from(values, (_, at) => at).filter((at) => isKnown(at) && !isKnown(at - 1) && !isKnown(at + 1))
}

function edges({ begins, stepMs }: Picture): [number, number] {
  const first = begins[0] ?? 0
  return [first, (begins[begins.length - 1] ?? first) + stepMs]
}

function isNewDay(ms: number, stepMs: number): boolean {
  const date = new Date(ms)
  return stepMs >= MINUTE_MS && date.getHours() === 0 && date.getMinutes() === 0
}

function boxOf(plot: uPlot, ratio: number): Box {
  const { left, top, width, height } = plot.bbox
  return { left: left / ratio, top: top / ratio, width: width / ratio, height: height / ratio }
}

function widest(plot: uPlot, font: string, values: string[]): number {
  const { ctx } = plot
  ctx.save()
  ctx.font = font
  const width = Math.max(16, ...values.map((value) => ctx.measureText(value ?? '').width))
  ctx.restore()
  return Math.ceil(width)
}

/** What is not over yet lies on a hatched ground. */
function hatch(plot: uPlot, { begins, stepMs, running }: Picture, colour: string): void {
  const begin = running === null ? undefined : begins[running]
  if (begin === undefined) return
  const { ctx, bbox } = plot
  const right = bbox.left + bbox.width
  const left = plot.valToPos(begin, 'x', true)
  const end = Math.min(plot.valToPos((begins[begins.length - 1] ?? begin) + stepMs, 'x', true), right)
  const gap = HATCH_GAP_PX * devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, bbox.top, end - left, bbox.height)
  ctx.clip()
  ctx.strokeStyle = colour
  ctx.lineWidth = devicePixelRatio
  ctx.beginPath()
  for (let x = left - bbox.height; x < end; x += gap) {
    ctx.moveTo(x, bbox.top + bbox.height)
    ctx.lineTo(x + bbox.height, bbox.top)
  }
  ctx.stroke()
  ctx.restore()
}
