// Addresses of the request log: the same filter from anywhere in the console.
import type { RouteLocationRaw } from 'vue-router'
import type { LogFilter } from '@/api/logs'
import { rangeQuery, type TimeRange } from '@/composables/timeRange'

/** @param more `attempts: 'all'` shows attempts that others followed as rows of their own; `entry` opens one. */
export function logLink(filter: LogFilter, range?: TimeRange, more: { attempts?: 'all'; entry?: string } = {}): RouteLocationRaw {
  return { name: 'logs', query: { ...filter, ...(range ? rangeQuery(range) : {}), ...more } }
}
