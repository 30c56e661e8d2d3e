// The request log: entries, what they add up to, and entries as they happen.
import { server, unwrap, type Schemas } from './client'

export type LogEntry = Schemas['LogEntry']
export type LogFigures = Schemas['LogFigures']
export type Percentiles = Schemas['Percentiles']
export type LogSummary = Schemas['LogSummary']
export type LogValue = Schemas['LogValue']
export type LogKeyFigures = Schemas['LogKeyFigures']
export type LogError = Schemas['LogError']
export type LogValues = Schemas['LogValues']

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
export type LogField = 'model' | 'group_name' | 'parent_group_name' | 'status_code' | 'client_key' | 'source_ip' | 'upstream_addr' | 'verdict'

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

/** A query as the client of the API takes it; its names are those of `LogFilter`. */
function asked(parameters: URLSearchParams): never {
  return Object.fromEntries(parameters) as never
}

export async function fetchLogPage(filter: LogFilter, span: LogSpan | undefined, cursor: string, size: number, { signal }: Asked = {}): Promise<LogPage> {
  const query = asked(logParameters(filter, span, { cursor, page_size: size, masked: 'true', bodies: 'false' }))
  const page = await unwrap(server.GET('/api/logs', { params: { query }, signal }))
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
  const query = asked(logParameters({}, undefined, { key_value: key, cursor: 'newest', page_size: 1, masked: 'true', bodies: 'false' }))
  const page = await unwrap(server.GET('/api/logs', { params: { query } }))
  return page.items[0]?.key_hash || null
}

/** With its body, if that was recorded. */
export function fetchLogEntry(id: string, { signal }: Asked = {}): Promise<LogEntry> {
  return unwrap(server.GET('/api/logs/{id}', { params: { path: { id }, query: asked(new URLSearchParams({ masked: 'true' })) }, signal }))
}

export function fetchLogSummary(filter: LogFilter, span: Required<LogSpan>, steps: number, { signal }: Asked = {}): Promise<LogSummary> {
  const times = { start_time: new Date(span.from).toISOString(), end_time: new Date(span.to).toISOString() }
  return unwrap(server.GET('/api/logs/summary', { params: { query: asked(logParameters(filter, undefined, { ...times, buckets: steps })) }, signal }))
}

/** Which values a field has among entries that match, those that occur most first. */
export function fetchLogValues(field: LogField, prefix: string, filter: LogFilter, span: LogSpan, { signal }: Asked = {}): Promise<LogValues> {
  return unwrap(server.GET('/api/logs/values', { params: { query: asked(logParameters(filter, span, { field, prefix })) }, signal }))
}

/** Where the entries that match are downloaded from; the browser's session opens it. */
export function entriesExportAddress(format: 'csv' | 'jsonl', columns: readonly string[], filter: LogFilter, span: LogSpan): string {
  return `/api/logs/entries/export?${logParameters(filter, span, { format, columns: columns.join(',') })}`
}

/** Likewise of the keys in them, each once. */
export function keysExportAddress(filter: LogFilter, span: LogSpan): string {
  return `/api/logs/export?${logParameters(filter, span)}`
}

export interface LogKeeping {
  /** 0: for ever. */
  retentionDays: number
  /** So long until an entry is in the database, at most. */
  writeIntervalMs: number
  /** Lost since the server's start, because they came faster than they could be written. */
  droppedTotal: number
}

/** How fresh entries are, and how long they are kept. */
export async function fetchLogKeeping({ signal }: Asked = {}): Promise<LogKeeping> {
  const { retention_days, request_log } = await unwrap(server.GET('/api/system', { signal }))
  return { retentionDays: retention_days, writeIntervalMs: request_log.write_interval_ms, droppedTotal: request_log.dropped_total }
}
