// The entries of the log that match, the newest first: fetched page by page as one scrolls, joined by those that come live.
import { computed, onScopeDispose, reactive, ref, shallowRef, toValue, watch, type MaybeRefOrGetter, type Ref } from 'vue'
import { fetchAttempts, fetchLogPage, type LogEntry, type LogFilter, type LogPage, type LogSpan } from '@/api/logs'
import type { TableRows } from '@/ui/table/rowSource'
import { flatRows, foldAttempts, type EntryRow } from './foldAttempts'

const PAGE_ENTRIES = 100
/** So many rows before its end the next page is fetched. */
const AHEAD_ROWS = 30
/** A search finds nothing for a while where little matches; after so many empty pages in a row it asks whether to go on. */
const EMPTY_PAGES_MAX = 40
/** Beyond it the oldest are let go while new ones come, so that a night of watching does not fill the memory. */
export const ENTRIES_MAX = 5_000

export interface LogListOptions {
  /** All that the list depends on. Another one begins anew, and late answers to the old one are dropped. */
  identity: MaybeRefOrGetter<string>
  filter: Readonly<Ref<LogFilter>>
  /** As it is when the list begins. */
  span: () => LogSpan
  isFolded: Readonly<Ref<boolean>>
  fetchPage?: typeof fetchLogPage
}

export function useLogList(options: LogListOptions) {
  const fetchPage = options.fetchPage ?? fetchLogPage
  const entries = shallowRef<LogEntry[]>([])
  const isBegun = ref(false)
  const isLoading = ref(false)
  const isStale = ref(false)
  const error = shallowRef<unknown>(null)
  const generation = ref(0)
  /** Where it goes on; `null`: that was all. */
  const cursor = ref<string | null>('newest')
  const isSearching = ref(false)
  const isCut = ref(false)
  const unfolded = reactive(new Map<string, readonly LogEntry[]>())
  let span: LogSpan = options.span()
  let abort = new AbortController()

  const rows = computed<EntryRow[]>(() => (options.isFolded.value ? foldAttempts(entries.value, unfolded) : flatRows(entries.value)))

  async function fetchNext(): Promise<void> {
    if (isLoading.value || cursor.value === null) return
    const { signal } = abort
    isLoading.value = true
    isSearching.value = false
    try {
      for (let empty = 0; cursor.value !== null; empty++) {
        if (empty === EMPTY_PAGES_MAX) {
          isSearching.value = true
          break
        }
        const page: LogPage = await fetchPage(options.filter.value, span, cursor.value, PAGE_ENTRIES, { signal })
        if (signal.aborted) return
        cursor.value = page.nextCursor
        const known = new Set(isStale.value ? [] : entries.value.map(({ id }) => id))
        entries.value = [...(isStale.value ? [] : entries.value), ...page.entries.filter(({ id }) => !known.has(id))]
        isStale.value = false
        isBegun.value = true
        error.value = null
        if (page.entries.length > 0) break
      }
    } catch (problem) {
      if (!signal.aborted) error.value = problem
    } finally {
      if (!signal.aborted) isLoading.value = false
    }
  }

  function begin(isAnew: boolean): void {
    abort.abort()
    abort = new AbortController()
    span = options.span()
    cursor.value = 'newest'
    isLoading.value = false
    isSearching.value = false
    isCut.value = false
    isStale.value = isBegun.value
    error.value = null
    unfolded.clear()
    if (isAnew) generation.value++
    void fetchNext()
  }

  /** Entries that came live, the newest first; those that are there already stay where they are. */
  function prepend(fresh: readonly LogEntry[]): void {
    const known = new Set(entries.value.map(({ id }) => id))
    const added = fresh.filter(({ id }) => !known.has(id))
    if (added.length === 0 || isStale.value) return
    let all = [...added, ...entries.value]
    if (all.length > ENTRIES_MAX) {
      all = all.slice(0, ENTRIES_MAX)
      isCut.value = true
    }
    entries.value = all
  }

  /**
   * What came while nobody listened, the newest first.
   *
   * @returns `null` where it is more than a page, so that the list has a hole.
   */
  async function fetchMissed(): Promise<LogEntry[] | null> {
    if (!isBegun.value || isStale.value) return []
    const { signal } = abort
    const page = await fetchPage(options.filter.value, { from: span.from }, 'newest', PAGE_ENTRIES, { signal })
    if (signal.aborted) return []
    const known = new Set(entries.value.map(({ id }) => id))
    const meets = page.nextCursor === null || entries.value.length === 0 || page.entries.some(({ id }) => known.has(id))
    return meets ? page.entries.filter(({ id }) => !known.has(id)) : null
  }

  async function toggle(requestId: string): Promise<void> {
    if (unfolded.delete(requestId)) return
    unfolded.set(requestId, [])
    const attempts = await fetchAttempts(requestId, { signal: abort.signal }).catch((problem: unknown) => {
      unfolded.delete(requestId)
      if (!abort.signal.aborted) error.value = problem
    })
    if (attempts && unfolded.has(requestId)) unfolded.set(requestId, attempts)
  }

  watch(() => toValue(options.identity), () => begin(true), { immediate: true })
  onScopeDispose(() => abort.abort())

  const source: TableRows<EntryRow> = {
    total: computed(() => (isBegun.value ? rows.value.length : null)),
    isStale,
    generation,
    at: (index) => rows.value[index],
    look: ({ to }) => {
      if (to > rows.value.length - AHEAD_ROWS && !isSearching.value && !isCut.value && error.value === null) void fetchNext()
    },
    load: ({ from, to }) => Promise.resolve(rows.value.slice(from, to)),
  }

  return {
    source,
    entries,
    rows,
    error,
    isLoading,
    isBegun,
    /** There are no older ones. */
    isAtEnd: computed(() => isBegun.value && cursor.value === null && !isCut.value),
    /** Nothing was found for a while; older ones may still match. */
    isSearching,
    /** Older ones were let go. */
    isCut,
    isUnfolded: (requestId: string) => unfolded.has(requestId),
    toggle,
    searchOn: fetchNext,
    reload: () => begin(false),
    restart: () => begin(true),
    /** The table goes to its first row. */
    toTop: () => void generation.value++,
    prepend,
    fetchMissed,
  }
}

export type LogList = ReturnType<typeof useLogList>
