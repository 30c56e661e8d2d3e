// What the dashboard asks for, and what of it belongs to the span and the group chosen.
import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { fetchEncryptionStatus, fetchSecurityWarnings } from '@/api/dashboard'
import { fetchGroupsSummary } from '@/api/groups'
import { fetchLogSummary, type LogFilter } from '@/api/logs'
import { rangeKey, spanBefore, spanOf } from '@/composables/timeRange'
import { useLiveQuery } from '@/composables/useLiveQuery'
import { useTimeRange } from '@/composables/useTimeRange'
import { currentLanguage } from '@/locales'

/** Keys and secrets change seldom. */
const GROUPS_EVERY_MS = 15_000
const WARNINGS_EVERY_MS = 5 * 60_000

export function useDashboard() {
  const route = useRoute()
  const router = useRouter()
  const time = useTimeRange()

  const groupId = computed({
    get: () => (/^\d+$/.test(String(route.query.group)) ? Number(route.query.group) : 0),
    set: (id: number) => void router.push({ query: { ...route.query, group: id ? String(id) : undefined } }),
  })
  const filter = computed<LogFilter>(() => (groupId.value ? { group_id: String(groupId.value) } : {}))

  const summary = useLiveQuery(
    () => ({
      key: ['logs', 'summary', rangeKey(time.range.value), filter.value],
      query: ({ signal }: { signal: AbortSignal }) => {
        const span = spanOf(time.range.value, Date.now())
        return fetchLogSummary(filter.value, span, span.steps, { signal })
      },
    }),
    time.everyMs,
  )
  const before = useLiveQuery(
    () => ({
      key: ['logs', 'summary', rangeKey(time.range.value), filter.value, 'before'],
      enabled: time.isCompared.value,
      query: ({ signal }: { signal: AbortSignal }) => {
        const span = spanBefore(spanOf(time.range.value, Date.now()))
        return fetchLogSummary(filter.value, span, span.steps, { signal })
      },
    }),
    time.everyMs,
  )
  const groups = useLiveQuery({ key: ['groups', 'summary'], query: fetchGroupsSummary }, GROUPS_EVERY_MS)
  // In the words of the language shown.
  const warnings = useLiveQuery(() => ({ key: ['dashboard', 'warnings', currentLanguage()], query: fetchSecurityWarnings }), WARNINGS_EVERY_MS)
  const encryption = useLiveQuery(() => ({ key: ['dashboard', 'encryption', currentLanguage()], query: fetchEncryptionStatus }), WARNINGS_EVERY_MS)

  return {
    ...time,
    groupId,
    filter,
    summary,
    before,
    groups,
    warnings,
    encryption,
    /** The group chosen, as far as it is known. */
    group: computed(() => groups.data.value?.find(({ id }) => id === groupId.value)),
    refresh: () => void Promise.all([summary.refetch(), groups.refetch(), warnings.refetch(), encryption.refetch(), ...(time.isCompared.value ? [before.refetch()] : [])]),
  }
}

export type Dashboard = ReturnType<typeof useDashboard>
