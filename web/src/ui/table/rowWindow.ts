// Which rows of a very long table are in sight, and where they stand. Rows are of equal height, so this is arithmetic: nothing
// grows with the number of rows, and a table of a million costs what one of a hundred does.

/** Browsers cut an element off above about 17 million px (Firefox) or 33 million (Chromium). Longer tables scroll faster instead. */
export const HEIGHT_MAX_PX = 15_000_000

/** Rows kept ready beyond each edge. */
const OVERSCAN_ROWS = 8
/** The window moves by so many rows at once, so that not every frame of scrolling draws anew. */
const STEP_ROWS = 4

export interface Geometry {
  total: number
  rowHeightPx: number
  viewportHeightPx: number
}

export interface RowRange {
  from: number
  /** The first row behind it. */
  to: number
}

export function heightOf({ total, rowHeightPx }: Geometry): number {
  return Math.min(total * rowHeightPx, HEIGHT_MAX_PX)
}

/** So many px of rows go by for a px of scrolling: 1, but for tables that are longer than a browser can show. */
export function speedOf(geometry: Geometry): number {
  const whole = geometry.total * geometry.rowHeightPx
  if (whole <= HEIGHT_MAX_PX) return 1
  return (whole - geometry.viewportHeightPx) / (HEIGHT_MAX_PX - geometry.viewportHeightPx)
}

/** The rows to draw at a position of the scroll bar. */
export function windowAt(geometry: Geometry, scrolledPx: number): RowRange {
  const begin = (Math.max(scrolledPx, 0) * speedOf(geometry)) / geometry.rowHeightPx
  const end = begin + geometry.viewportHeightPx / geometry.rowHeightPx
  const from = Math.floor(begin / STEP_ROWS) * STEP_ROWS - OVERSCAN_ROWS
  const to = Math.ceil(end / STEP_ROWS) * STEP_ROWS + OVERSCAN_ROWS
  return { from: Math.min(Math.max(from, 0), geometry.total), to: Math.min(to, geometry.total) }
}

/** The rows that are really in sight, without those kept ready. */
export function sightAt(geometry: Geometry, scrolledPx: number): RowRange {
  const begin = (Math.max(scrolledPx, 0) * speedOf(geometry)) / geometry.rowHeightPx
  const end = Math.ceil(begin + geometry.viewportHeightPx / geometry.rowHeightPx)
  return { from: Math.min(Math.floor(begin), geometry.total), to: Math.min(end, geometry.total) }
}

/** Where a row stands below the top of all rows. */
export function topOf(geometry: Geometry, index: number, scrolledPx: number): number {
  return index * geometry.rowHeightPx - scrolledPx * (speedOf(geometry) - 1)
}

/** How far to scroll so that a row is in sight; where it already is, nothing moves. */
export function scrollTo(geometry: Geometry, index: number, scrolledPx: number): number {
  const speed = speedOf(geometry)
  const top = index * geometry.rowHeightPx
  const shown = scrolledPx * speed
  if (top < shown) return top / speed
  const bottom = top + geometry.rowHeightPx
  return bottom > shown + geometry.viewportHeightPx ? (bottom - geometry.viewportHeightPx) / speed : scrolledPx
}
