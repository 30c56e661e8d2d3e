// Groups: what is asked of the server about them, one function an endpoint.
import { server, unwrap, type Schemas } from './client'
import type { operations } from './schema'

export type Group = Schemas['Group']
export type GroupSummary = Schemas['GroupSummary']
export type GroupStats = Schemas['GroupStats']
export type GroupMember = Schemas['Member']
export type ParentGroup = Schemas['ParentGroup']
export type GroupCopied = Schemas['GroupCopied']
export type EffectiveSetting = Schemas['EffectiveSetting']
export type HeaderRule = Schemas['HeaderRule']
export type Upstream = Schemas['Upstream']
export type GroupUpstream = Schemas['GroupUpstream']
export type NewGroup = operations['create_group']['requestBody']['content']['application/json']
export type GroupChange = NonNullable<operations['update_group']['requestBody']['content']['application/json']>
export type CopiedKeys = 'all' | 'valid_only' | 'none'
export type NewMember = { group_id: number; weight: number }

interface Asked {
  signal?: AbortSignal
}

/** All groups, whole, in their order; the list is where one group comes from, too. */
export function fetchGroups({ signal }: Asked = {}): Promise<Group[]> {
  return unwrap(server.GET('/api/groups', { signal }))
}

export function fetchGroupsSummary({ signal }: Asked = {}): Promise<GroupSummary[]> {
  return unwrap(server.GET('/api/groups/summary', { signal }))
}

export function fetchGroupStats(id: number, { signal }: Asked = {}): Promise<GroupStats> {
  return unwrap(server.GET('/api/groups/{id}/stats', { params: { path: { id } }, signal }))
}

export function fetchEffectiveSettings(id: number, { signal }: Asked = {}): Promise<EffectiveSetting[]> {
  return unwrap(server.GET('/api/groups/{id}/effective-config', { params: { path: { id } }, signal }))
}

export function fetchConfigOptions({ signal }: Asked = {}): Promise<Schemas['ConfigOption'][]> {
  return unwrap(server.GET('/api/groups/config-options', { signal }))
}

export function fetchParentGroups(id: number, { signal }: Asked = {}): Promise<ParentGroup[]> {
  return unwrap(server.GET('/api/groups/{id}/parent-aggregate-groups', { params: { path: { id } }, signal }))
}

export function fetchMembers(id: number, { signal }: Asked = {}): Promise<GroupMember[]> {
  return unwrap(server.GET('/api/groups/{id}/sub-groups', { params: { path: { id } }, signal }))
}

/** @param paramOverrides JSON as it was typed: its numbers keep their digits only as a text. */
export function createGroup(body: NewGroup, paramOverrides?: string): Promise<Group> {
  return unwrap(server.POST('/api/groups', { body, bodySerializer: withMember('param_overrides', paramOverrides) }))
}

/** Changes what is given and leaves the rest. */
export function updateGroup(id: number, body: GroupChange, paramOverrides?: string): Promise<Group> {
  return unwrap(server.PUT('/api/groups/{id}', { params: { path: { id } }, body, bodySerializer: withMember('param_overrides', paramOverrides) }))
}

function withMember(name: string, json: string | undefined) {
  return (body: object | null | undefined): string => {
    const text = JSON.stringify(body ?? {})
    if (json === undefined) return text
    return `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(name)}:${json}}`
  }
}

export async function deleteGroup(id: number): Promise<void> {
  await unwrap(server.DELETE('/api/groups/{id}', { params: { path: { id } } }))
}

export function copyGroup(id: number, copyKeys: CopiedKeys): Promise<GroupCopied> {
  return unwrap(server.POST('/api/groups/{id}/copy', { params: { path: { id } }, body: { copy_keys: copyKeys } }))
}

export async function reorderGroups(items: { id: number; sort: number }[]): Promise<void> {
  await unwrap(server.PUT('/api/groups/reorder', { body: { items } }))
}

export async function addMembers(id: number, members: NewMember[]): Promise<void> {
  await unwrap(server.POST('/api/groups/{id}/sub-groups', { params: { path: { id } }, body: { sub_groups: members } }))
}

export async function setMemberWeight(id: number, memberId: number, weight: number): Promise<void> {
  await unwrap(server.PUT('/api/groups/{id}/sub-groups/{sub_group_id}/weight', { params: { path: { id, sub_group_id: memberId } }, body: { weight } }))
}

export async function removeMember(id: number, memberId: number): Promise<void> {
  await unwrap(server.DELETE('/api/groups/{id}/sub-groups/{sub_group_id}', { params: { path: { id, sub_group_id: memberId } } }))
}

/** Where requests of a group go, and how they fared there within the last hour. */
export function fetchUpstreams(id: number, { signal }: Asked = {}): Promise<GroupUpstream[]> {
  return unwrap(server.GET('/api/groups/{id}/upstreams', { params: { path: { id } }, signal }))
}
