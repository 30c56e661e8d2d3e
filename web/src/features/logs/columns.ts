// The columns of the request log: what each shows, and which members of an entry stand for it in an export. Pure.
import type { LogEntry } from '@/api/logs'
import type { Column } from '@/ui/table/tableLayout'
import type { FilterName } from './filters'

interface LogColumn extends Omit<Column, 'title'> {
  /** Members of an entry. */
  exports: readonly string[]
  /** What a click on it filters by, if it does. */
  filter?: { name: FilterName; valueOf: (entry: LogEntry) => string }
  /** Its text, where it is plain. */
  textOf?: (entry: LogEntry) => string
  isMono?: boolean
  /** Shown at first where there is much room. */
  isForWide?: boolean
}

/** The first seven fit a window of 1280 px. */
export const LOG_COLUMNS: readonly LogColumn[] = [
  { id: 'time', widthPx: 150, isAlways: true, exports: ['timestamp'] },
  { id: 'outcome', widthPx: 200, isAlways: true, exports: ['status_code', 'is_success', 'verdict'] },
  { id: 'model', widthPx: 140, grow: 2, exports: ['model'], textOf: ({ model }) => model, filter: { name: 'model', valueOf: ({ model }) => model } },
  { id: 'group', widthPx: 130, grow: 1, exports: ['group_name'], textOf: ({ group_name }) => group_name, filter: { name: 'group_id', valueOf: ({ group_id }) => (group_id > 0 ? String(group_id) : '') } },
  { id: 'key', widthPx: 130, exports: ['key_value', 'key_id'], textOf: ({ key_value }) => key_value, isMono: true, filter: { name: 'key_hash', valueOf: ({ key_hash }) => key_hash } },
  { id: 'client', widthPx: 130, grow: 1, exports: ['client_key'], textOf: ({ client_key }) => client_key ?? '', filter: { name: 'client_key', valueOf: ({ client_key }) => client_key ?? '' } },
  { id: 'duration', widthPx: 110, align: 'end', exports: ['duration_ms'] },
  { id: 'first_byte', widthPx: 110, align: 'end', isExtra: true, exports: ['first_byte_ms'] },
  { id: 'overhead', widthPx: 110, align: 'end', isExtra: true, exports: ['overhead_us'] },
  { id: 'attempt', widthPx: 90, align: 'end', isExtra: true, exports: ['attempt', 'request_type'], textOf: ({ attempt }) => (attempt === null ? '' : String(attempt)) },
  { id: 'parent', widthPx: 140, isExtra: true, exports: ['parent_group_name'], textOf: ({ parent_group_name }) => parent_group_name, filter: { name: 'group_id', valueOf: ({ parent_group_id }) => (parent_group_id > 0 ? String(parent_group_id) : '') } },
  { id: 'sent_model', widthPx: 160, isExtra: true, exports: ['sent_model'], textOf: ({ sent_model }) => sent_model ?? '' },
  { id: 'stream', widthPx: 110, isExtra: true, exports: ['is_stream'] },
  { id: 'source_ip', widthPx: 140, isExtra: true, exports: ['source_ip'], textOf: ({ source_ip }) => source_ip, isMono: true, filter: { name: 'source_ip', valueOf: ({ source_ip }) => source_ip } },
  { id: 'upstream', widthPx: 220, isExtra: true, exports: ['upstream_addr'], textOf: ({ upstream_addr }) => upstream_addr, filter: { name: 'upstream_addr', valueOf: ({ upstream_addr }) => originOf(upstream_addr) } },
  { id: 'path', widthPx: 260, isExtra: true, exports: ['request_path'], textOf: ({ request_path }) => request_path, isMono: true },
  { id: 'error', widthPx: 320, grow: 2, isExtra: true, isForWide: true, exports: ['error_message'], textOf: ({ error_message }) => error_message },
  { id: 'user_agent', widthPx: 200, isExtra: true, exports: ['user_agent'], textOf: ({ user_agent }) => user_agent },
  { id: 'request_id', widthPx: 290, isExtra: true, exports: ['request_id'], textOf: ({ request_id }) => request_id ?? '', isMono: true, filter: { name: 'request_id', valueOf: ({ request_id }) => request_id ?? '' } },
  { id: 'upstream_request_id', widthPx: 220, isExtra: true, exports: ['upstream_request_id'], textOf: ({ upstream_request_id }) => upstream_request_id ?? '', isMono: true },
]

/** Scheme, host and port of an address. */
export function originOf(address: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+/i.exec(address)?.[0] ?? address
}

/** Members of an entry for an export of these columns; what tells entries apart is always among them. */
export function exportColumns(shown: readonly string[]): string[] {
  return [...new Set(['id', 'request_id', ...LOG_COLUMNS.filter(({ id }) => shown.includes(id)).flatMap((column) => column.exports)])]
}
