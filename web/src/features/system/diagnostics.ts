// What one sends along with a question: how the server is, without anything that opens a door.
import type { Cluster, Readiness, SystemFacts } from '@/api/system'

export interface Diagnostics {
  system: SystemFacts
  readiness: Readiness | null
  cluster: Cluster | null
  browser: string
  language: string
  at: string
}

/** Addresses of nodes are left out: they tell a stranger where to knock. */
export function diagnosticsText({ system, readiness, cluster, ...around }: Diagnostics): string {
  const nodes = cluster?.nodes.map(({ address: _, ...node }) => node)
  return redacted(JSON.stringify({ ...around, system, readiness, cluster: cluster ? { ...cluster, nodes } : null }, null, 2))
}

/** Nothing of these figures is a secret; an error text of a driver might quote one. */
export function redacted(text: string): string {
  return text
    .replace(/\/\/[^/\s"@]*@/g, '//***@')
    .replace(/((?:password|passwd|pwd|secret|token|auth_key)["']?\s*[=:]\s*["']?)[^\s"'&,;]+/gi, '$1***')
    .replace(/\bsk-[\w-]{4,}/g, 'sk-***')
}
