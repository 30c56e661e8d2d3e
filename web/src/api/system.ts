// How the server itself is: its checks, its figures, and the nodes beside it.
import { ApiError, refusalOf, requestHeaders, server, unwrap, type Schemas } from './client'
import { reportReached, reportUnreachable } from '@/composables/useConnection'

export type SystemFacts = Schemas['System']
export type SystemLimits = Schemas['SystemLimits']
export type Readiness = Schemas['Readiness']
export type CheckName = keyof Schemas['Checks']
export type Cluster = Schemas['Cluster']
export type ClusterNode = Schemas['ClusterNode']

interface Asked {
  signal?: AbortSignal
}

export function fetchSystem({ signal }: Asked = {}): Promise<SystemFacts> {
  return unwrap(server.GET('/api/system', { signal }))
}

export function fetchCluster({ signal }: Asked = {}): Promise<Cluster> {
  return unwrap(server.GET('/api/cluster', { signal }))
}

/** Outside of the envelope; a server that is not ready says so with 503, which is an answer, too. */
export async function fetchReadiness({ signal }: Asked = {}): Promise<Readiness> {
  let response: Response
  try {
    response = await fetch('/ready', { headers: requestHeaders(), cache: 'no-store', signal })
  } catch (error) {
    if (signal?.aborted) throw error
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
  const answer = (await response.json().catch(() => null)) as Readiness | null
  if (!answer?.checks) throw await refusalOf(response, answer)
  reportReached()
  return answer
}
