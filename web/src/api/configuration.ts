// The whole configuration as a file: settings and groups, without upstream keys.
import { ApiError, refusalOf, requestHeaders } from './client'
import { reportReached, reportUnreachable } from '@/composables/useConnection'

// from contract5 until the document has it
export interface Configuration {
  format: string
  version: number
  created_at: string
  settings: Record<string, unknown>
  groups: unknown[]
}
export interface ConfigurationChange {
  kind: 'setting' | 'group' | 'member'
  name: string
  action: 'create' | 'change' | 'leave'
  /** What differs. */
  fields: string[]
}

/** @param secrets with the proxy keys. */
export function fetchConfiguration(secrets: boolean): Promise<Configuration> {
  return ask<Configuration>(`/api/configuration?secrets=${secrets}`)
}

/** What an import would do, or did: in one transaction, all of it or nothing. */
export async function applyConfiguration(configuration: unknown, isDryRun: boolean): Promise<ConfigurationChange[]> {
  const { changes } = await ask<{ changes: ConfigurationChange[] }>('/api/configuration', { configuration, dry_run: isDryRun })
  return changes
}

async function ask<T>(path: string, body?: object): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, body ? { method: 'POST', headers: { ...requestHeaders(), 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : { headers: requestHeaders(), cache: 'no-store' })
  } catch {
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
  reportReached()
  if (!response.ok) throw await refusalOf(response)
  return ((await response.json()) as { data: T }).data
}
