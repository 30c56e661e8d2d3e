// The figures of the system page in words, by card.
import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import type { SystemFacts, SystemLimits } from '@/api/system'
import { useFormat } from '@/composables/useFormat'
import { useNow } from '@/composables/useNow'
import type { Fact } from './FactList.vue'
import { rowsAtRetention } from './forecast'

/** From so much of a limit on it is worth a look. */
const NEAR_LIMIT = 0.8

export function useSystemFacts(system: Ref<SystemFacts | undefined>) {
  const { t } = useI18n()
  const format = useFormat()
  const now = useNow()
  const unless = (isUnknown: boolean, text: string) => (isUnknown ? format.number(null) : text)

  function used(value: number | null, limit: number | null): Pick<Fact, 'value' | 'remark' | 'isWarning'> {
    return {
      value: format.number(value),
      remark: limit === null ? t('system.unlimited') : t('system.of', { limit: format.number(limit) }),
      isWarning: value !== null && limit !== null && value >= limit * NEAR_LIMIT,
    }
  }

  const server = computed<Fact[]>(() => {
    const facts = system.value
    if (!facts) return []
    return [
      { name: t('system.version'), value: facts.version, isMono: true },
      { name: t('system.uptime'), value: format.duration(Math.max(now.value - Date.parse(facts.started_at), 0)), remark: t('system.started', { time: format.dateTime(facts.started_at) }) },
      { name: t('system.role'), value: facts.node.role === 'slave' ? t('system.slave') : t('system.master'), remark: facts.node.role === 'slave' ? t('system.slave_text') : t('system.master_text') },
      { name: t('system.node'), value: facts.node.id, isMono: true },
      ...(facts.read_only ? [{ name: t('system.mode'), value: t('system.read_only'), isWarning: true }] : []),
      { name: t('system.memory'), value: format.bytes(facts.memory_bytes) },
      { name: t('system.connections'), ...used(facts.open_connections, facts.limits.connections_max) },
      { name: t('system.in_flight'), ...used(facts.requests_in_flight, facts.limits.proxied_requests_max) },
      { name: t('system.threads'), value: format.number(facts.worker_threads) },
      { name: t('system.clock'), value: facts.time_zone },
    ]
  })

  const storage = computed<Fact[]>(() => {
    const facts = system.value
    if (!facts) return []
    const { database, request_log: log, retention_days: days } = facts
    const forecast = rowsAtRetention(facts, now.value)
    return [
      { name: t('system.database'), value: [database.engine, database.version].filter(Boolean).join(' ') },
      { name: t('system.size'), value: format.bytes(database.size_bytes) },
      { name: t('system.rows'), value: unless(database.log_rows === null, t('system.about', { count: format.compact(database.log_rows) })), remark: forecast === null ? undefined : t('system.at_retention', { count: format.compact(forecast) }) },
      { name: t('system.oldest'), value: format.dateTime(database.oldest_log_entry_at) },
      { name: t('system.log_size'), value: format.bytes(database.log_bytes), remark: database.log_bytes === null && database.engine === 'SQLite' ? t('system.log_size_unknown') : undefined },
      { name: t('system.retention'), value: days === 0 ? t('system.for_ever') : t('system.retention_days', { count: format.number(days) }, days) },
      { name: t('system.pending'), value: format.number(log.pending), remark: t('system.interval', { interval: format.duration(log.write_interval_ms) }) },
      { name: t('system.dropped'), value: format.number(log.dropped_total), remark: log.dropped_total > 0 ? t('system.dropped_text') : undefined, isWarning: log.dropped_total > 0 },
    ]
  })

  const security = computed<Fact[]>(() => {
    const facts = system.value
    if (!facts) return []
    const redis = facts.redis
    return [
      { name: t('system.encryption'), value: facts.encryption.is_on ? t('system.encrypted') : t('system.plain'), remark: facts.encryption.is_on ? undefined : t('system.plain_text'), isWarning: !facts.encryption.is_on },
      redis === null
        ? { name: t('system.redis'), value: t('system.redis_unused'), remark: t('system.redis_unused_text') }
        : { name: t('system.redis'), value: redis.is_connected ? t('system.redis_connected') : t('system.redis_away'), remark: redis.problem || undefined, isWarning: !redis.is_connected },
    ]
  })

  const limits = computed<Fact[]>(() =>
    Object.entries(system.value?.limits ?? {}).map(([name, limit]) => ({
      name: t(`system.limit.${name as keyof SystemLimits}`),
      value: limit === null ? t('system.unlimited') : name.endsWith('_bytes_max') ? format.bytes(limit) : format.number(limit),
    })),
  )

  return { server, storage, security, limits }
}
