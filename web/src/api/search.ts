// One search over everything that the console shows.
import { server, unwrap } from './client'
import type { KeyState } from './keys'

// from contract5 until the document has it
export interface SearchResults {
  groups: { id: number; name: string; display_name: string; channel_type: string }[]
  keys: { id: number; group_id: number; group_name: string; masked: string; state: KeyState; notes: string }[]
  /** Whether all keys were looked at: the search takes a bounded time. */
  keys_are_complete: boolean
  requests: { request_id: string; timestamp: string; group_name: string; status_code: number; model: string }[]
  settings: { key: string; name: string }[]
}

// from contract5 until the document has it
const later = server as unknown as { GET: (path: string, init: object) => Promise<{ data?: { data?: never }; error?: unknown; response: Response }> }

export async function searchEverything(text: string, limit: number, signal?: AbortSignal): Promise<SearchResults> {
  return (await unwrap(later.GET('/api/search', { params: { query: { q: text, limit } }, signal }))) as SearchResults
}
