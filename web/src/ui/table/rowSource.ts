// Rows of a long table, fetched a page at a time where somebody looks. The place of each is known from the total.
import { computed, onScopeDispose, readonly, ref, shallowReactive, shallowRef, toValue, watch, type MaybeRefOrGetter, type Ref } from 'vue'
import type { RowRange } from './rowWindow'

export interface PageOfRows<Row> {
  items: readonly Row[]
  /** On all pages together. */
  total: number
}

export interface RowSource<Row> {
  /** `null` until the first answer. */
  readonly total: Readonly<Ref<number | null>>
  /** Whether what is shown belongs to what was asked for before, until the first answer to what is asked for now. */
  readonly isStale: Readonly<Ref<boolean>>
  /** Of what was fetched last; a later success clears it. */
  readonly error: Readonly<Ref<unknown>>
  /** Counts how often something else was asked for: the table goes to its top then. */
  readonly generation: Readonly<Ref<number>>
  /** `undefined` for what is not there yet. */
  at(index: number): Row | undefined
  /** Says what is in sight; what lacks is fetched. */
  look(range: RowRange): void
  /** When what is in sight was fetched last. */
  readonly loadedAt: Readonly<Ref<number | null>>
  /** What is there of the rows in sight. */
  shown(): Row[]
  /** Rows whether in sight or not, for a selection that reaches far. */
  load(range: RowRange): Promise<Row[]>
  /** Fetches anew what is in sight and forgets the rest. */
  refresh(): Promise<void>
  /** Changes rows in place, after something was done to them. */
  change(change: (row: Row) => Row): void
}

/** What a table needs of it; rows that come in another way have it, too. */
export type TableRows<Row> = Pick<RowSource<Row>, 'total' | 'isStale' | 'generation' | 'at' | 'look' | 'load'>

/** Whoever drags the scroll bar passes many pages; only where he stays are they fetched. */
const SETTLE_MS = 60
/** Kept at the same time; those farthest from the view go first. */
const PAGES_MAX = 60

export function useRowSource<Row>(options: {
  /** All that the rows depend on: group, filters, order. Another one begins anew, and late answers to the old one are dropped. */
  identity: MaybeRefOrGetter<string>
  /** `page` from 0. */
  fetchPage: (page: number, signal: AbortSignal) => Promise<PageOfRows<Row>>
  rowsPerPage: number
}): RowSource<Row> {
  const size = options.rowsPerPage
  const pages = shallowReactive(new Map<number, readonly Row[]>())
  const total = ref<number | null>(null)
  const isStale = ref(false)
  const error = shallowRef<unknown>(null)
  const generation = ref(0)
  const loadedAt = ref<number | null>(null)
  const running = new Map<number, { promise: Promise<void>; abort: AbortController }>()
  let sight: RowRange = { from: 0, to: 1 }
  let timer: ReturnType<typeof setTimeout> | undefined

  const pagesOf = ({ from, to }: RowRange): number[] => {
    const first = Math.floor(from / size)
    const count = Math.max(Math.ceil(to / size) - first, 0)
    return Array.from({ length: count }, (_, at) => first + at)
  }

  const at = (index: number): Row | undefined => pages.get(Math.floor(index / size))?.[index % size]

  function fetchPage(page: number): Promise<void> {
    const already = running.get(page)
    if (already) return already.promise
    const abort = new AbortController()
    const asked = generation.value
    const promise = (async () => {
      try {
        const { items, total: count } = await options.fetchPage(page, abort.signal)
        if (asked !== generation.value || abort.signal.aborted) return
        if (isStale.value) pages.clear()
        pages.set(page, items)
        total.value = count
        isStale.value = false
        loadedAt.value = Date.now()
        error.value = null
        forgetFar()
      } catch (problem) {
        if (asked === generation.value && !abort.signal.aborted) error.value = problem
      } finally {
        if (running.get(page)?.abort === abort) running.delete(page)
      }
    })()
    running.set(page, { promise, abort })
    return promise
  }

  function forgetFar(): void {
    const middle = (sight.from + sight.to) / 2 / size
    const byDistance = [...pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle))
    for (const page of byDistance.slice(0, Math.max(pages.size - PAGES_MAX, 0))) pages.delete(page)
  }

  function fetchMissing(): void {
    timer = undefined
    const { from, to } = sight
    // The next page is on its way before its first row is in sight.
    const nearby = pagesOf({ from: Math.max(from - size / 4, 0), to: Math.max(Math.min(to + size / 4, total.value ?? to), to) })
    for (const [page, { abort }] of running) {
      if (nearby.includes(page)) continue
      abort.abort()
      running.delete(page)
    }
    for (const page of nearby) if (isStale.value || !pages.has(page)) void fetchPage(page)
  }

  function stop(): void {
    clearTimeout(timer)
    timer = undefined
    for (const { abort } of running.values()) abort.abort()
    running.clear()
  }

  watch(
    () => toValue(options.identity),
    () => {
      stop()
      generation.value++
      error.value = null
      isStale.value = pages.size > 0 || total.value !== null
      sight = { from: 0, to: 1 }
      void fetchPage(0)
    },
    { immediate: true },
  )
  onScopeDispose(stop)

  return {
    total: readonly(total),
    isStale: readonly(isStale),
    error: computed(() => error.value),
    generation: readonly(generation),
    loadedAt: readonly(loadedAt),
    at,
    shown: () => Array.from({ length: sight.to - sight.from }, (_, offset) => at(sight.from + offset)).filter((row) => row !== undefined),
    look(range) {
      const isLeap = Math.abs(range.from - sight.from) > Math.max(range.to - range.from, 1)
      sight = range.to > range.from ? range : { from: range.from, to: range.from + 1 }
      // Slow scrolling fetches as it goes, leaps wait for the last of them.
      if (isLeap) clearTimeout(timer)
      else if (timer !== undefined) return
      timer = setTimeout(fetchMissing, SETTLE_MS)
    },
    async load(range) {
      const asked = generation.value
      const rows: Row[] = []
      for (const page of pagesOf(range)) {
        const known = isStale.value ? undefined : pages.get(page)
        const items = known ?? (await options.fetchPage(page, new AbortController().signal)).items
        // Half a range, or one of other rows, would be a selection that nobody meant.
        if (asked !== generation.value) return []
        rows.push(...items.filter((_, at) => page * size + at >= range.from && page * size + at < range.to))
      }
      return rows
    },
    async refresh() {
      // Before the first answer there is nothing newer to ask for.
      if (total.value === null && running.size > 0) return void (await Promise.all([...running.values()].map(({ promise }) => promise)))
      stop()
      const shown = new Set(pagesOf(sight))
      for (const page of pages.keys()) if (!shown.has(page)) pages.delete(page)
      await Promise.all([...shown].map((page) => fetchPage(page)))
    },
    change(change) {
      for (const [page, rows] of pages) {
        const changed = rows.map(change)
        if (changed.some((row, at) => row !== rows[at])) pages.set(page, changed)
      }
    },
  }
}
