// A file with a configuration: read with care, and what it would do put in order.
import { FORMAT, type Configuration, type ConfigurationChange } from './configuration'

/** The management API takes no larger body. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024

export type FileFault = 'no_json' | 'other_format'

export function readConfiguration(text: string): { configuration: Configuration } | { fault: FileFault } {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { fault: 'no_json' }
  }
  return isConfiguration(json) ? { configuration: json } : { fault: 'other_format' }
}

/** As far as it is looked into here; values of settings and groups are the server's to judge. */
function isConfiguration(json: unknown): json is Configuration {
  if (!isObject(json) || json.format !== FORMAT || typeof json.version !== 'number' || !isObject(json.settings) || !Array.isArray(json.groups)) return false
  const isMember = (member: unknown) => isObject(member) && typeof member.name === 'string' && typeof member.weight === 'number'
  return json.groups.every(
    (group: unknown) =>
      isObject(group) && typeof group.name === 'string' && typeof group.group_type === 'string' && (group.members === undefined || (Array.isArray(group.members) && group.members.every(isMember))),
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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
