// Where the bars of a sparkline stand. Units of the drawing, which is stretched to its place.

export const STEP = 4
export const BAR = 3
export const HEIGHT = 24
/** What is not nothing is seen. */
const PART_HEIGHT_MIN = 1.5

export interface Bar {
  x: number
  parts: { y: number; height: number }[]
}

/** Stacks the parts of each step, the first at the bottom; the highest step fills the height. */
export function layBars(steps: readonly (readonly number[])[]): Bar[] {
  const sums = steps.map((parts) => parts.reduce((sum, part) => sum + part, 0))
  const highest = Math.max(...sums, 1)
  return steps.map((parts, index) => {
    let y = HEIGHT
    return {
      x: index * STEP + (STEP - BAR) / 2,
      parts: parts.map((part) => {
        const height = part > 0 ? Math.max((part / highest) * HEIGHT, PART_HEIGHT_MIN) : 0
        y = Math.max(y - height, 0)
        return { y, height }
      }),
    }
  })
}
