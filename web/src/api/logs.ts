// The request log: entries, what they add up to, and entries as they happen.
import { ApiError, refusalOf, requestHeaders, server, unwrap, type Schemas } from './client'
import { reportReached, reportUnreachable } from '@/composables/useConnection'

// from contract5 until the document has it
export type LogEntry = Schemas['LogEntry'] & {
  key_id?: number | null
  has_request_body?: boolean
  /** What a redirect made of the model's name. */
  sent_model?: string | null
  upstream_request_id?: string | null
}
export interface Percentiles {
  p50: number
  p90: number
  p95: number
  p99: number
}
export interface LogFigures {
  requests: number
  successes: number
  failures: number
  aborted: number
  retries: number
  duration_ms: Percentiles | null
  first_byte_ms: Percentiles | null
  overhead_us: Percentiles | null
}
export interface LogValue {
  value: string
  count: number
  failures: number
  p95_duration_ms: number | null
}
export interface LogKeyFigures extends LogValue {
  key_id: number | null
  masked: string
  group_name: string
}
export interface LogError {
  message: string
  status_code: number
  count: number
  last_at: string
  sample_request_id: string | null
}
export interface LogSummary {
  from: string
  to: string
  bucket_seconds: number
  rows_in_range: number
  rows_examined: number
  is_estimate: boolean
  oldest_entry_at: string | null
  totals: LogFigures
  previous: LogFigures | null
  series: (LogFigures & { begin: string })[]
  status_codes: LogValue[]
  verdicts: LogValue[]
  models: LogValue[]
  groups: LogValue[]
  parent_groups: LogValue[]
  client_keys: LogValue[]
  upstreams: LogValue[]
  source_ips: LogValue[]
  keys: LogKeyFigures[]
  errors: LogError[]
}

export const VERDICTS = ['success', 'client', 'key', 'key_for_now', 'upstream', 'ourselves', 'client_gone'] as const
export type Verdict = (typeof VERDICTS)[number]

/** What entries must have, as the API names it; times are apart. */
export interface LogFilter {
  group_id?: string
  group_name?: string
  parent_group_name?: string
  model?: string
  is_success?: string
  request_type?: string
  status_code?: string
  source_ip?: string
  error_contains?: string
  request_id?: string
  client_key?: string
  key_hash?: string
  verdict?: string
  upstream_addr?: string
}

export interface LogSpan {
  /** Milliseconds; open at the end where it is not given. */
  from: number
  to?: number
}

export interface LogPage {
  entries: LogEntry[]
  /** `null`: that was all. A page may be empty and still go on. */
  nextCursor: string | null
}

/** Fields that values can be asked of. */
export type LogField = 'model' | 'group_name' | 'parent_group_name' | 'status_code' | 'client_key' | 'source_ip' | 'verdict'

interface Asked {
  signal?: AbortSignal
}

export function logParameters(filter: LogFilter, span?: LogSpan, more: Record<string, string | number | undefined> = {}): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...filter, ...more })) if (value !== undefined && value !== '') parameters.set(name, String(value))
  if (span) {
    parameters.set('start_time', new Date(span.from).toISOString())
    // The last moment of a span is the first of the next one.
    if (span.to !== undefined) parameters.set('end_time', new Date(span.to - 1).toISOString())
  }
  return parameters
}

export async function fetchLogPage(filter: LogFilter, span: LogSpan | undefined, cursor: string, size: number, { signal }: Asked = {}): Promise<LogPage> {
  const query = logParameters(filter, span, { cursor, page_size: size, masked: 'true', bodies: 'false' })
  const page = await unwrap(server.GET('/api/logs', { params: { query: Object.fromEntries(query) as Record<string, never> }, signal }))
  return { entries: page.items, nextCursor: page.pagination.next_cursor }
}

/** All attempts of a request, the first one first. */
export async function fetchAttempts(requestId: string, { signal }: Asked = {}): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  let cursor: string | null = 'newest'
  while (cursor !== null) {
    const page: LogPage = await fetchLogPage({ request_id: requestId }, undefined, cursor, 100, { signal })
    entries.push(...page.entries)
    cursor = page.nextCursor
  }
  return entries.sort((a, b) => (a.attempt ?? 0) - (b.attempt ?? 0) || Number(a.request_type === 'final') - Number(b.request_type === 'final') || a.timestamp.localeCompare(b.timestamp))
}

/** The hash that entries have of a whole key; `null`: no entry has this key. */
export async function fetchKeyHash(key: string): Promise<string | null> {
  const page = await unwrap(server.GET('/api/logs', { params: { query: Object.fromEntries(logParameters({}, undefined, { key_value: key, cursor: 'newest', page_size: 1, masked: 'true', bodies: 'false' })) as Record<string, never> } }))
  return page.items[0]?.key_hash || null
}

/** With its body, if that was recorded. */
export function fetchLogEntry(id: string, asked: Asked = {}): Promise<LogEntry> {
  return get(`/api/logs/${encodeURIComponent(id)}?masked=true`, asked)
}

export function fetchLogSummary(filter: LogFilter, span: Required<LogSpan>, steps: number, asked: Asked = {}): Promise<LogSummary> {
  const query = logParameters(filter, undefined, { start_time: new Date(span.from).toISOString(), end_time: new Date(span.to).toISOString(), buckets: steps })
  return get(`/api/logs/summary?${query}`, asked)
}

export async function fetchLogValues(field: LogField, prefix: string, filter: LogFilter, span: LogSpan, asked: Asked = {}): Promise<{ values: { value: string; count: number }[]; is_estimate: boolean }> {
  return get(`/api/logs/values?${logParameters(filter, span, { field, prefix })}`, asked)
}

// from contract5 until the document has it
async function get<T>(path: string, { signal }: Asked): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, { headers: requestHeaders(), signal, cache: 'no-store' })
  } catch (error) {
    if (signal?.aborted) throw error
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
  reportReached()
  if (!response.ok) throw await refusalOf(response)
  return ((await response.json()) as { data: T }).data
}
