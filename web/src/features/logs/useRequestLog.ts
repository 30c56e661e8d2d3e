// The page of the request log: what its address says, the list that follows from it, and what comes live.
import { computed, ref, shallowRef, watch } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'
import { fetchLogSummary, type LogFilter } from '@/api/logs'
import { isRelative, rangeKey, spanOf } from '@/composables/timeRange'
import { useLiveQuery } from '@/composables/useLiveQuery'
import { useTimeRange } from '@/composables/useTimeRange'
import type { TableRows } from '@/ui/table/rowSource'
import { readFilter, wantsAttempts, withoutFilters, type FilterName } from './filters'
import type { EntryRow } from './foldAttempts'
import { LiveBuffer } from './liveBuffer'
import { useLiveTail } from './useLiveTail'
import { useLogList } from './useLogList'

export function useRequestLog() {
  const route = useRoute()
  const router = useRouter()
  const time = useTimeRange()

  const read = computed(() => readFilter(route.query))
  const filterKey = computed(() => JSON.stringify(read.value.filter))
  /** The same object as long as the same is asked, whatever else changes in the address. */
  const filter = shallowRef<LogFilter>(read.value.filter)
  watch(filterKey, () => (filter.value = read.value.filter), { flush: 'sync' })

  const change = (query: LocationQuery | Record<string, string | undefined>, isChoice = true) => {
    const to = { query: { ...route.query, ...query } }
    void (isChoice ? router.push(to) : router.replace(to))
  }

  const isFolded = computed({
    get: () => route.query.attempts !== 'all' && !wantsAttempts(filter.value),
    set: (folded) => change({ attempts: folded ? undefined : 'all' }, false),
  })
  const isLive = computed({ get: () => route.query.live === '1', set: (live) => change({ live: live ? '1' : undefined }, false) })
  const entryId = computed(() => (typeof route.query.entry === 'string' ? route.query.entry : null))
  /** A span that is over gets no more entries. */
  const canFollow = computed(() => isRelative(time.range.value))

  /** One request is looked for in the whole log. */
  const isOfOneRequest = computed(() => filter.value.request_id !== undefined)
  const span = () => {
    if (isOfOneRequest.value) return { from: 0 }
    const { from, to } = spanOf(time.range.value, Date.now())
    return canFollow.value ? { from } : { from, to }
  }
  const list = useLogList({ identity: () => `${filterKey.value} ${rangeKey(time.range.value)}`, filter, span, isFolded })

  const summary = useLiveQuery(
    () => ({
      key: ['logs', 'summary', rangeKey(time.range.value), filter.value],
      query: ({ signal }: { signal: AbortSignal }) => {
        const now = spanOf(time.range.value, Date.now())
        return fetchLogSummary(filter.value, now, now.steps, { signal })
      },
    }),
    time.everyMs,
  )

  // --- what comes live ---

  const buffer = new LiveBuffer()
  const waiting = ref(0)
  const hasHole = ref(false)
  const missed = ref(0)
  const firstRow = ref(0)
  const hasFocus = ref(false)
  /** Nothing moves under somebody who reads. */
  const isPaused = computed(() => firstRow.value > 0 || hasFocus.value || entryId.value !== null)
  const flows = computed(() => isLive.value && !isPaused.value)
  let isCatchingUp = false

  function settle(): void {
    if (flows.value && !isCatchingUp && !hasHole.value) list.prepend(buffer.take())
    hasHole.value ||= buffer.hasLost
    waiting.value = buffer.count
  }

  function forget(): void {
    buffer.clear()
    hasHole.value = false
    missed.value = 0
    waiting.value = 0
  }

  const { state } = useLiveTail({
    filter,
    isOn: canFollow,
    onEntries: (entries) => {
      buffer.add(entries)
      settle()
    },
    onMissed: (count) => (missed.value += count),
    onOpen: async () => {
      isCatchingUp = true
      const found = await list.fetchMissed().catch(() => [])
      isCatchingUp = false
      if (found === null) hasHole.value = true
      else buffer.addOlder(found)
      settle()
    },
  })

  watch(flows, settle)
  // Another list: what waits belongs to the one before.
  watch([filterKey, () => rangeKey(time.range.value)], forget)

  /** Shows what waits, and goes to the top. */
  function showNew(): void {
    hasFocus.value = false
    if (hasHole.value) list.restart()
    else {
      list.prepend(buffer.take())
      list.toTop()
    }
    forget()
  }

  const source: TableRows<EntryRow> = {
    ...list.source,
    look: (range) => {
      firstRow.value = range.from
      list.source.look(range)
    },
  }

  return {
    ...time,
    problems: computed(() => read.value.problems),
    filter,
    filterCount: computed(() => Object.keys(filter.value).length + read.value.problems.length),
    list,
    source,
    summary,
    span,
    isOfOneRequest,
    isFolded,
    /** Whether attempts can be folded at all. */
    canFold: computed(() => !wantsAttempts(filter.value)),
    isLive,
    canFollow,
    liveState: state,
    isPaused,
    waiting,
    hasHole,
    missed,
    showNew,
    hasFocus,
    entryId,
    include: (name: FilterName, value: string) => change({ [name]: value, entry: undefined }),
    exclude: (name: FilterName) => change({ [name]: undefined, entry: undefined }),
    clear: () => void router.push({ query: withoutFilters(route.query) }),
    open: (id: string) => change({ entry: id }, entryId.value === null),
    close: () => change({ entry: undefined }, false),
  }
}

export type RequestLog = ReturnType<typeof useRequestLog>
