// Upstream keys: what is asked of the server about them, one function an endpoint.
import { server, unwrap, type Schemas } from './client'
import type { Task } from './tasks'

// from contract5 until the document has it
export interface KeyFailure {
  status_code: number | null
  message: string
  at: string
}

export type KeyState = 'active' | 'resting' | 'invalid' | 'disabled' | 'unreadable'

// from contract5 until the document has it
export type Key = Schemas['Key'] & {
  state: KeyState
  resting_until: string | null
  out_since: string | null
  out_reason: KeyFailure | null
  last_failure: KeyFailure | null
  group_name?: string
}

export const KEY_FILTERS = ['active', 'resting', 'invalid', 'disabled'] as const
export type KeyFilter = (typeof KEY_FILTERS)[number]

export const KEY_SORTS = ['last_used_at', 'created_at', 'updated_at', 'request_count', 'failure_count', 'status', 'id'] as const
export type KeySort = (typeof KEY_SORTS)[number]

export interface KeyQuery {
  groupId: number
  filter: KeyFilter | null
  search: string
  sort: KeySort
  isDescending: boolean
}

// from contract5 until the document has it
const later = server as unknown as Record<'GET' | 'POST', (path: string, init: object) => Promise<{ data?: { data?: never }; error?: unknown; response: Response }>>
function call<Data>(method: 'GET' | 'POST', path: string, init: object = {}): Promise<Data> {
  return unwrap(later[method](path, init)) as Promise<Data>
}

/** Masked: a key in clear is asked for one by one, with `revealKey`. `page` from 0. */
export async function fetchKeys(query: KeyQuery, page: number, pageSize: number, signal: AbortSignal): Promise<{ items: Key[]; total: number }> {
  const { items, pagination } = await call<{ items: Key[]; pagination: Schemas['Pagination'] }>('GET', '/api/keys', {
    params: {
      query: {
        group_id: query.groupId,
        status: query.filter ?? undefined,
        search: query.search || undefined,
        sort: query.sort,
        order: query.isDescending ? 'desc' : 'asc',
        page: page + 1,
        page_size: pageSize,
        masked: true,
      },
    },
    signal,
  })
  return { items, total: pagination.total_items }
}

/** Some keys of a group as they are now; those that are gone are not among them. */
export async function fetchKeysById(groupId: number, ids: readonly number[], signal?: AbortSignal): Promise<Key[]> {
  const query = { group_id: groupId, ids: ids.join(','), masked: true, page: 1, page_size: ids.length }
  return (await call<{ items: Key[] }>('GET', '/api/keys', { params: { query }, signal })).items
}

export function fetchKey(id: number, signal?: AbortSignal): Promise<Key> {
  return call('GET', `/api/keys/${id}`, { signal })
}

export async function revealKey(id: number): Promise<string> {
  return (await call<{ key_value: string }>('POST', `/api/keys/${id}/reveal`)).key_value
}

// from contract5 until the document has it
export interface KeyTest {
  is_valid: boolean
  /** What the upstream said, or why it could not be asked. */
  error: string | null
  status_code: number | null
  duration_ms: number
  key: Key
}

export function testKey(id: number): Promise<KeyTest> {
  return call('POST', `/api/keys/${id}/test`)
}

export async function setKeyNotes(id: number, notes: string): Promise<void> {
  await unwrap(server.PUT('/api/keys/{id}/notes', { params: { path: { id } }, body: { notes } }))
}

export const KEY_NOTES_LENGTH_MAX = 255

export const BULK_ACTIONS = ['test', 'restore', 'enable', 'disable', 'move', 'set_notes', 'delete'] as const
export type BulkAction = (typeof BULK_ACTIONS)[number]

/** Which keys are meant: some by their ids, or all that match but for some. */
export type BulkChoice = { ids: number[] } | { filter: { status?: KeyFilter; search?: string }; except_ids: number[] }

export type BulkWish = { action: Exclude<BulkAction, 'move' | 'set_notes'> } | { action: 'move'; target_group_id: number } | { action: 'set_notes'; notes: string }

// from contract5 until the document has it
export interface BulkPreview {
  matching: number
  by_state: Partial<Record<KeyState, number>>
  would_change: number
}

export function previewBulk(groupId: number, choice: BulkChoice, wish: BulkWish): Promise<BulkPreview> {
  return call('POST', '/api/keys/bulk', { body: { group_id: groupId, ...choice, ...wish, dry_run: true } })
}

export function startBulk(groupId: number, choice: BulkChoice, wish: BulkWish): Promise<Task> {
  return call('POST', '/api/keys/bulk', { body: { group_id: groupId, ...choice, ...wish, dry_run: false } })
}

export const IGNORED_REASONS = ['duplicate_in_input', 'already_in_group', 'unsendable'] as const
export type IgnoredReason = (typeof IGNORED_REASONS)[number]

// from contract5 until the document has it
export interface ImportPreview {
  found: number
  new: number
  duplicate_in_input: number
  already_in_group: number
  unsendable: number
  /** The first 200; `position` from 1, in the order of the text. */
  ignored: { position: number; masked: string; reason: IgnoredReason }[]
  sample: string[]
}

export function previewImport(groupId: number | null, keysText: string, signal?: AbortSignal): Promise<ImportPreview> {
  return call('POST', '/api/keys/import-preview', { body: { group_id: groupId ?? undefined, keys_text: keysText }, signal })
}

export function startImport(groupId: number, keysText: string, validate: boolean): Promise<Task> {
  return call('POST', '/api/keys/add-async', { body: { group_id: groupId, keys_text: keysText, validate } })
}

export async function startDeletionOf(groupId: number, keysText: string): Promise<Task> {
  return (await unwrap(server.POST('/api/keys/delete-async', { body: { group_id: groupId, keys_text: keysText } }))) as Task
}

export async function startValidation(groupId: number, status: 'active' | 'invalid' | null): Promise<Task> {
  return (await unwrap(server.POST('/api/keys/validate-group', { body: { group_id: groupId, status: status ?? undefined } }))) as Task
}

export const EXPORT_FORMATS = ['text', 'csv', 'jsonl'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** Who rests is in rotation, for a file. */
export const EXPORT_STATES = ['active', 'invalid', 'disabled'] as const
export type ExportState = (typeof EXPORT_STATES)[number]

/** A plain link: the session's cookie opens it. */
export function exportAddress(groupId: number, format: ExportFormat, state: ExportState | null): string {
  const query = new URLSearchParams({ group_id: String(groupId), format })
  if (state) query.set('status', state)
  return `/api/keys/export?${query}`
}

export interface KeyRequest {
  id: string
  timestamp: string
  is_success: boolean
  status_code: number
  model: string
  error_message?: string
  duration_ms: number
}

const KEY_REQUESTS_SHOWN = 8

/** The latest of them, newest first. */
export async function fetchKeyRequests(keyHash: string, signal?: AbortSignal): Promise<KeyRequest[]> {
  const query = { key_hash: keyHash, cursor: 'newest', page_size: KEY_REQUESTS_SHOWN, masked: true, bodies: false }
  return (await call<{ items: KeyRequest[] }>('GET', '/api/logs', { params: { query }, signal })).items
}
