// How somebody likes a table: which columns, in which order, how wide, how dense; remembered by his browser.
import { computed, reactive, toValue, type ComputedRef, type MaybeRefOrGetter } from 'vue'

export interface Column {
  id: string
  title: string
  /** At least so wide, and exactly so wide where `grow` is not given. */
  widthPx: number
  /** Its share of the room that is left over. */
  grow?: number
  /** Cannot be taken away. */
  isAlways?: boolean
  /** Not shown until somebody asks for it. */
  isExtra?: boolean
  /** Can be ordered by, and in which direction first. */
  sort?: 'ascending' | 'descending'
  align?: 'end'
  /** Its title is for screen readers only. */
  isTitleHidden?: boolean
}

export const DENSITIES = ['compact', 'comfortable'] as const
export type Density = (typeof DENSITIES)[number]

export const ROW_HEIGHTS_PX: Record<Density, number> = { compact: 32, comfortable: 44 }

export const COLUMN_WIDTH_MIN_PX = 64
export const COLUMN_WIDTH_MAX_PX = 1_200

export interface TableLayout {
  /** In their order. */
  readonly shown: ComputedRef<Column[]>
  readonly all: ComputedRef<Column[]>
  readonly density: ComputedRef<Density>
  readonly isChanged: ComputedRef<boolean>
  isShown(id: string): boolean
  show(id: string, isShown: boolean): void
  /** By so many places to the right. */
  move(id: string, places: number): void
  setWidth(id: string, widthPx: number): void
  setDensity(density: Density): void
  /** Columns as they were at first; the density stays. */
  reset(): void
}

interface Stored {
  order: string[]
  hidden: string[]
  extra: string[]
  widths: Record<string, number>
  density: Density
}

/** @param name under which it is remembered: one a table. */
export function useTableLayout(name: string, columns: MaybeRefOrGetter<readonly Column[]>): TableLayout {
  const storedAs = `gpt-load.table.${name}`
  const stored = reactive<Stored>(read(storedAs))

  const all = computed(() => ordered(toValue(columns), stored.order).map((column) => withWidth(column, stored.widths[column.id])))
  const isShown = (column: Column) => column.isAlways || (column.isExtra ? stored.extra.includes(column.id) : !stored.hidden.includes(column.id))

  function keep(): void {
    try {
      localStorage.setItem(storedAs, JSON.stringify(stored))
    } catch {
      // No storage: it lasts as long as the page.
    }
  }

  return {
    all,
    shown: computed(() => all.value.filter(isShown)),
    density: computed(() => stored.density),
    isChanged: computed(() => stored.order.length + stored.hidden.length + stored.extra.length + Object.keys(stored.widths).length > 0),
    isShown: (id) => all.value.some((column) => column.id === id && isShown(column)),
    show(id, wanted) {
      const column = all.value.find((one) => one.id === id)
      if (!column || column.isAlways) return
      if (column.isExtra) stored.extra = wanted ? [...new Set([...stored.extra, id])] : stored.extra.filter((one) => one !== id)
      else stored.hidden = wanted ? stored.hidden.filter((one) => one !== id) : [...new Set([...stored.hidden, id])]
      keep()
    },
    move(id, places) {
      const order = all.value.map((column) => column.id)
      const from = order.indexOf(id)
      const to = Math.min(Math.max(from + places, 0), order.length - 1)
      if (from < 0 || to === from) return
      order.splice(to, 0, ...order.splice(from, 1))
      stored.order = order
      keep()
    },
    setWidth(id, widthPx) {
      stored.widths[id] = Math.round(Math.min(Math.max(widthPx, COLUMN_WIDTH_MIN_PX), COLUMN_WIDTH_MAX_PX))
      keep()
    },
    setDensity(density) {
      stored.density = density
      keep()
    },
    reset() {
      Object.assign(stored, { order: [], hidden: [], extra: [], widths: {} })
      keep()
    },
  }
}

/** A column that a later version brought, or that was not there when the order was made, stands behind the one it followed. */
export function ordered(columns: readonly Column[], order: readonly string[]): Column[] {
  const result = order.map((id) => columns.find((column) => column.id === id)).filter((column) => column !== undefined)
  columns.forEach((column, at) => {
    if (result.includes(column)) return
    const before = columns[at - 1]
    result.splice(before ? result.indexOf(before) + 1 : 0, 0, column)
  })
  return result
}

function withWidth(column: Column, widthPx: number | undefined): Column {
  return widthPx === undefined ? column : { ...column, widthPx, grow: undefined }
}

function read(storedAs: string): Stored {
  const layout: Stored = { order: [], hidden: [], extra: [], widths: {}, density: 'comfortable' }
  try {
    const value = JSON.parse(localStorage.getItem(storedAs) ?? 'null') as Partial<Record<keyof Stored, unknown>> | null
    const texts = (list: unknown) => (Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [])
    layout.order = texts(value?.order)
    layout.hidden = texts(value?.hidden)
    layout.extra = texts(value?.extra)
    layout.density = DENSITIES.find((density) => density === value?.density) ?? 'comfortable'
    for (const [id, width] of Object.entries((value?.widths ?? {}) as object)) {
      if (typeof width === 'number' && width >= COLUMN_WIDTH_MIN_PX && width <= COLUMN_WIDTH_MAX_PX) layout.widths[id] = width
    }
  } catch {
    // No storage, or nothing of ours in it.
  }
  return layout
}
