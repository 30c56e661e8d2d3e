// One search over everything that the console shows.
import { server, unwrap, type Schemas } from './client'
import type { KeyState } from './keys'

export type SearchResults = Omit<Schemas['Findings'], 'keys'> & { keys: (Schemas['FoundKey'] & { state: KeyState })[] }

export async function searchEverything(text: string, limit: number, signal?: AbortSignal): Promise<SearchResults> {
  return (await unwrap(server.GET('/api/search', { params: { query: { q: text, limit } }, signal }))) as SearchResults
}
