// A query that is asked again and again while somebody looks: not in a hidden tab, nor while the server is away or it was paused.
import { useQuery, useQueryCache, type UseQueryOptions, type UseQueryReturn } from '@pinia/colada'
import { computed, onScopeDispose, ref, toValue, watch, type ComputedRef, type MaybeRefOrGetter } from 'vue'
import { useAutoRefresh } from './useAutoRefresh'
import { useConnection } from './useConnection'

/** After each failure in a row the wait doubles, up to this many times the usual one. */
const SLOWER_MAX = 8

/** When the data of an entry of the cache came; `when` there is also moved by failures, and by the word that it is old. */
const arrivals = new WeakMap<object, number>()

export type LiveQueryOptions<Data> = Pick<UseQueryOptions<Data>, 'key' | 'query' | 'enabled' | 'staleTime' | 'gcTime' | 'placeholderData'>

export type LiveQuery<Data> = UseQueryReturn<Data> & {
  /** When the data shown was fetched; `null` while there is none. For UiAge. */
  updatedAt: ComputedRef<number | null>
}

/**
 * `useQuery`, and again `everyMs` after each answer; `null` for not by itself.
 *
 * @example
 * const board = useLiveQuery({ key: ['groups', 'summary'], query: fetchGroupsSummary }, 15_000)
 * <UiAge :updated-at="board.updatedAt.value" :is-loading="board.isLoading.value" :every-ms="15_000" @refresh="board.refetch()" />
 */
export function useLiveQuery<Data>(options: MaybeRefOrGetter<LiveQueryOptions<Data>>, everyMs: MaybeRefOrGetter<number | null>): LiveQuery<Data> {
  const cache = useQueryCache()
  const { isLost } = useConnection()
  const { isPaused } = useAutoRefresh()

  const query = useQuery<Data>(() => {
    const own = toValue(options)
    return {
      ...own,
      key: toValue(own.key),
      enabled: toValue(own.enabled) ?? true,
      query: async (context) => {
        const data = await own.query(context)
        arrivals.set(context.entry, Date.now())
        return data
      },
    }
  })
  const entry = () => cache.get(toValue(toValue(options).key))

  const updatedAt = computed(() => {
    if (query.data.value === undefined || query.isPlaceholderData.value) return null
    // Read for the sake of being told: the state changes with every answer.
    void query.state.value
    const held = entry()
    return held ? (arrivals.get(held) ?? (held.when || null)) : null
  })

  const isHidden = ref(document.hidden)
  const onVisibility = () => (isHidden.value = document.hidden)
  document.addEventListener('visibilitychange', onVisibility)

  let failures = 0
  watch(query.state, (state) => (failures = state.status === 'error' ? failures + 1 : 0), { flush: 'sync' })

  const isResting = computed(() => isHidden.value || isLost.value || isPaused.value || query.isLoading.value || !(toValue(toValue(options).enabled) ?? true))
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    [isResting, () => toValue(everyMs), query.state],
    ([resting, interval]) => {
      clearTimeout(timer)
      if (resting || interval === null) return
      const wait = interval * Math.min(2 ** failures, SLOWER_MAX)
      const last = entry()?.when || Date.now()
      timer = setTimeout(() => void query.refetch(), Math.max(last + wait - Date.now(), 0))
    },
    { immediate: true },
  )

  onScopeDispose(() => {
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisibility)
  })

  return Object.assign(query, { updatedAt })
}
