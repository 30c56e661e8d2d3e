// Upstream keys: what is asked of the server about them, one function an endpoint.
import { server, unwrap, type Schemas } from './client'
import type { Task } from './tasks'

export type KeyFailure = Schemas['KeyFailure']

export type KeyState = 'active' | 'resting' | 'invalid' | 'disabled' | 'unreadable'

export type Key = Omit<Schemas['Key'], 'state'> & { state: KeyState }

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

/** Masked: a key in clear is asked for one by one, with `revealKey`. `page` from 0. */
export async function fetchKeys(wanted: KeyQuery, page: number, pageSize: number, signal: AbortSignal): Promise<{ items: Key[]; total: number }> {
  const query = {
    group_id: wanted.groupId,
    status: wanted.filter ?? undefined,
    search: wanted.search || undefined,
    sort: wanted.sort,
    order: wanted.isDescending ? ('desc' as const) : ('asc' as const),
    page: page + 1,
    page_size: pageSize,
    masked: true,
  }
  const { items, pagination } = await unwrap(server.GET('/api/keys', { params: { query }, signal }))
  return { items: items as Key[], total: pagination.total_items }
}

/** Some keys of a group as they are now; those that are gone are not among them. */
export async function fetchKeysById(groupId: number, ids: readonly number[], signal?: AbortSignal): Promise<Key[]> {
  const query = { group_id: groupId, ids: ids.join(','), masked: true, page: 1, page_size: ids.length }
  return (await unwrap(server.GET('/api/keys', { params: { query }, signal }))).items as Key[]
}

export async function fetchKey(id: number, signal?: AbortSignal): Promise<Key> {
  return (await unwrap(server.GET('/api/keys/{id}', { params: { path: { id } }, signal }))) as Key
}

export async function revealKey(id: number): Promise<string> {
  return (await unwrap(server.POST('/api/keys/{id}/reveal', { params: { path: { id } } }))).key_value
}

export type KeyTest = Omit<Schemas['OneKeyTested'], 'key'> & { key: Key }

export async function testKey(id: number): Promise<KeyTest> {
  return (await unwrap(server.POST('/api/keys/{id}/test', { params: { path: { id } } }))) as KeyTest
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

export type BulkPreview = Schemas['KeysOutlook']

export async function previewBulk(groupId: number, choice: BulkChoice, wish: BulkWish): Promise<BulkPreview> {
  return (await unwrap(server.POST('/api/keys/bulk', { body: { group_id: groupId, ...choice, ...wish, dry_run: true } }))) as BulkPreview
}

export async function startBulk(groupId: number, choice: BulkChoice, wish: BulkWish): Promise<Task> {
  return (await unwrap(server.POST('/api/keys/bulk', { body: { group_id: groupId, ...choice, ...wish } }))) as Task
}

export const IGNORED_REASONS = ['duplicate_in_input', 'already_in_group', 'unsendable'] as const
export type IgnoredReason = (typeof IGNORED_REASONS)[number]

/** `ignored` are the first of those left out; `position` from 1, in the order of the text. */
export type ImportPreview = Omit<Schemas['ImportPreview'], 'ignored'> & { ignored: { position: number; masked: string; reason: IgnoredReason }[] }

export async function previewImport(groupId: number | null, keysText: string, signal?: AbortSignal): Promise<ImportPreview> {
  return (await unwrap(server.POST('/api/keys/import-preview', { body: { group_id: groupId ?? undefined, keys_text: keysText }, signal }))) as ImportPreview
}

export async function startImport(groupId: number, keysText: string, validate: boolean): Promise<Task> {
  return (await unwrap(server.POST('/api/keys/add-async', { body: { group_id: groupId, keys_text: keysText, validate } }))) as Task
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

export type KeyRequest = Schemas['LogEntry']

const KEY_REQUESTS_SHOWN = 8

/** The latest of them, newest first. */
export async function fetchKeyRequests(keyHash: string, signal?: AbortSignal): Promise<KeyRequest[]> {
  const query = { key_hash: keyHash, cursor: 'newest', page_size: KEY_REQUESTS_SHOWN, masked: true, bodies: false }
  return (await unwrap(server.GET('/api/logs', { params: { query }, signal }))).items
}
