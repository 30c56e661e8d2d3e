// Where clients reach a group.
import type { Group } from '@/api/groups'

/** As the server tells it by its setting `app_url`; where that is no address, by the one this page came from. */
export function endpointOf(group: Pick<Group, 'endpoint' | 'name'>): string {
  return group.endpoint || `${location.origin}/proxy/${group.name}`
}
