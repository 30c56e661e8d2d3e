// The keys of a group as a table: their rows, how they are by now, and what is chosen.
import { useQuery } from '@pinia/colada'
import { computed, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { fetchGroupStats } from '@/api/groups'
import { fetchKeys, fetchKeysById, type Key } from '@/api/keys'
import { useLiveQuery } from '@/composables/useLiveQuery'
import { GROUP_KEYS } from '@/features/groups/useGroups'
import { useRowSelection } from '@/ui/table/rowSelection'
import { useRowSource } from '@/ui/table/rowSource'
import type { KeyFilterState } from './useKeyFilter'

const ROWS_PER_PAGE = 100
export const KEYS_EVERY_MS = 10_000

export function useKeyTable(groupId: MaybeRefOrGetter<number>, filter: MaybeRefOrGetter<KeyFilterState>, isHeld: MaybeRefOrGetter<boolean>) {
  const query = computed(() => ({ groupId: toValue(groupId), ...toValue(filter) }))
  const source = useRowSource<Key>({
    identity: () => JSON.stringify(query.value),
    rowsPerPage: ROWS_PER_PAGE,
    fetchPage: (page, signal) => fetchKeys(query.value, page, ROWS_PER_PAGE, signal),
  })

  const selection = useRowSelection<number>()
  // "All that match" means others under another filter; the order is no matter.
  watch(() => [query.value.groupId, query.value.filter, query.value.search].join('\n'), () => selection.clear())

  // Rows in sight are renewed where they stand: in the order of their last use they would else change places under the reader.
  const renewal = useLiveQuery(
    () => ({
      key: ['keys', toValue(groupId), 'shown', JSON.stringify(query.value)],
      query: async ({ signal }) => {
        await renew(signal)
        return null
      },
      enabled: source.total.value !== null && !toValue(isHeld),
      staleTime: Infinity,
    }),
    KEYS_EVERY_MS,
  )

  async function renew(signal: AbortSignal): Promise<void> {
    const shown = source.shown()
    if (shown.length === 0 || source.isStale.value) return
    const fresh = new Map((await fetchKeysById(toValue(groupId), shown.map((key) => key.id), signal)).map((key) => [key.id, key]))
    if (shown.some((key) => !fresh.has(key.id))) await source.refresh()
    else source.change((key) => fresh.get(key.id) ?? key)
  }

  // Whoever says that keys are old (a task that ended, the server that came back) means the whole table.
  const revision = useQuery({ key: () => ['keys', toValue(groupId), 'revision'], query: () => Promise.resolve(Date.now()), staleTime: Infinity, refetchOnWindowFocus: false })
  watch(revision.data, (_, before) => {
    if (before !== undefined) void source.refresh()
  })

  const stats = useLiveQuery(() => ({ key: [...GROUP_KEYS.stats(toValue(groupId))], query: ({ signal }) => fetchGroupStats(toValue(groupId), { signal }) }), KEYS_EVERY_MS)
  const counts = computed(() => stats.data.value?.key_stats ?? null)

  const updatedAt = computed(() => {
    const times = [source.loadedAt.value, renewal.updatedAt.value].filter((time) => time !== null)
    return times.length > 0 ? Math.max(...times) : null
  })

  return { source, selection, counts, updatedAt, refresh: () => Promise.all([source.refresh(), stats.refetch()]) }
}
