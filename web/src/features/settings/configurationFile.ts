// A file with a configuration: read with care, and what it would do put in order.
import type { ConfigurationChange } from '@/api/configuration'

const FORMAT = 'gpt-load-configuration'
/** The management API takes no larger body. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024

export type FileFault = 'no_json' | 'other_format'

export function readConfiguration(text: string): { configuration: object } | { fault: FileFault } {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { fault: 'no_json' }
  }
  return (json as { format?: unknown } | null)?.format === FORMAT ? { configuration: json as object } : { fault: 'other_format' }
}

const ORDER = ['create', 'change', 'leave'] as const

/** By what is done, what changes most first; by name within. */
export function inOrder(changes: readonly ConfigurationChange[]): { action: ConfigurationChange['action']; changes: ConfigurationChange[] }[] {
  return ORDER.map((action) => ({ action, changes: changes.filter((change) => change.action === action).sort((one, other) => one.kind.localeCompare(other.kind) || one.name.localeCompare(other.name)) })).filter(({ changes }) => changes.length > 0)
}

/** gpt-load-2026-11-26.json */
export function fileName(at: Date): string {
  return `gpt-load-${at.toISOString().slice(0, 10)}.json`
}
