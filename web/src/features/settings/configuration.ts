// The whole configuration as a file: settings and groups, without upstream keys. Read from the same endpoints as everything else
// here, and brought in by them one by one, so it holds for what is in the file what holds for what is typed.
import { fetchGroups, fetchMembers, addMembers, createGroup, setMemberWeight, updateGroup, type Group, type NewGroup } from '@/api/groups'
import { fetchSettings, saveSettings, type SettingValue } from '@/api/settings'

export const FORMAT = 'gpt-load-configuration'
const VERSION = 1

/** What a group is made of, apart from its kind, its name and its members. */
const FIELDS = [
  'display_name',
  'description',
  'channel_type',
  'sort',
  'proxy_keys',
  'upstreams',
  'test_model',
  'validation_endpoint',
  'param_overrides',
  'config',
  'header_rules',
  'model_redirect_rules',
  'model_redirect_strict',
] as const
type Field = (typeof FIELDS)[number]
/** An aggregate group has none of these. */
const STANDARD_ONLY: readonly Field[] = ['upstreams', 'test_model', 'validation_endpoint']

export type ConfiguredGroup = Partial<Pick<Group, Field>> & {
  name: string
  group_type: string
  members?: { name: string; weight: number }[]
}

export interface Configuration {
  format: typeof FORMAT
  version: number
  created_at: string
  settings: Record<string, SettingValue>
  groups: ConfiguredGroup[]
}

export interface ConfigurationChange {
  kind: 'setting' | 'group' | 'member'
  /** Of a member: the aggregate and it. */
  name: string
  action: 'create' | 'change' | 'leave'
  /** What differs. */
  fields: string[]
}

/** A change, and how it is made; `run` is `null` where nothing differs. */
export interface Step extends ConfigurationChange {
  run: (() => Promise<void>) | null
}

/** What the file would be compared with. */
export interface Present {
  settings: Record<string, SettingValue>
  settingsVersion: string | null
  groups: Group[]
  /** By the id of the aggregate. */
  members: Map<number, { id: number; name: string; weight: number }[]>
}

export async function fetchPresent(): Promise<Present> {
  const [{ categories, version }, groups] = await Promise.all([fetchSettings(), fetchGroups()])
  const aggregates = groups.filter((group) => group.group_type === 'aggregate')
  const members = await Promise.all(aggregates.map(async ({ id }) => [id, (await fetchMembers(id)).map(({ group, weight }) => ({ id: group.id, name: group.name, weight }))] as const))
  return {
    settings: Object.fromEntries(categories.flatMap(({ settings }) => settings.map(({ key, value }) => [key, value as SettingValue]))),
    settingsVersion: version,
    groups,
    members: new Map(members),
  }
}

/** @param withSecrets with the proxy keys, of the settings and of the groups. */
export function written(present: Present, withSecrets: boolean, now: Date): Configuration {
  const isKept = (name: string) => withSecrets || name !== 'proxy_keys'
  return {
    format: FORMAT,
    version: VERSION,
    created_at: now.toISOString(),
    settings: Object.fromEntries(Object.entries(present.settings).filter(([key]) => isKept(key))),
    groups: present.groups.map((group) => ({
      name: group.name,
      group_type: group.group_type,
      ...Object.fromEntries(fieldsOf(group.group_type).filter(isKept).map((field) => [field, group[field]])),
      ...(group.group_type === 'aggregate' ? { members: (present.members.get(group.id) ?? []).map(({ name, weight }) => ({ name, weight })) } : {}),
    })),
  }
}

/**
 * What brings the present to what the file says, in the order in which it can be done: settings, groups, aggregates, members. What
 * the file does not name stays as it is; nothing is deleted.
 *
 * @throws {ConfigurationFault} where the file contradicts itself or the present.
 */
export function planned(file: Configuration, present: Present): Step[] {
  if (file.version > VERSION) throw new ConfigurationFault('newer_version', String(file.version))
  const byName = new Map(present.groups.map((group) => [group.name, group]))
  const groups = [...file.groups].sort((one, other) => Number(one.group_type === 'aggregate') - Number(other.group_type === 'aggregate'))
  const seen = new Set<string>()
  for (const group of groups) {
    if (seen.has(group.name)) throw new ConfigurationFault('group_twice', group.name)
    seen.add(group.name)
    const there = byName.get(group.name)
    if (there && there.group_type !== group.group_type) throw new ConfigurationFault('other_kind', group.name)
    for (const { name } of group.members ?? []) {
      if (!byName.has(name) && !file.groups.some((other) => other.name === name)) throw new ConfigurationFault('no_such_member', name)
    }
  }
  // Ids of groups that the plan itself makes are known only once they are made.
  const ids = new Map(present.groups.map(({ name, id }) => [name, id]))
  return [...settingSteps(file, present), ...groups.map((group) => groupStep(group, byName.get(group.name), ids)), ...groups.flatMap((group) => memberSteps(group, present, ids))]
}

export class ConfigurationFault extends Error {
  constructor(
    readonly fault: 'newer_version' | 'group_twice' | 'other_kind' | 'no_such_member',
    /** What it is about: a name, or a number. */
    readonly about: string,
  ) {
    super(`${fault}: ${about}`)
  }
}

function settingSteps(file: Configuration, present: Present): Step[] {
  const known = Object.entries(file.settings).filter(([key]) => key in present.settings)
  const changed = known.filter(([key, value]) => !isSame(value, present.settings[key]))
  // One change for all of them, which is made with the first.
  const save = () => saveSettings(Object.fromEntries(changed), present.settingsVersion)
  return known.map(([key, value]) => {
    const at = changed.findIndex(([name]) => name === key)
    const isFirst = at === 0
    return { kind: 'setting', name: key, action: at < 0 ? 'leave' : 'change', fields: at < 0 ? [] : [String(value)], run: at < 0 ? null : isFirst ? save : async () => {} }
  })
}

function groupStep(wanted: ConfiguredGroup, there: Group | undefined, ids: Map<string, number>): Step {
  const given = fieldsOf(wanted.group_type).filter((field) => wanted[field] !== undefined)
  if (!there) {
    const run = async () => {
      const { name, group_type } = wanted
      // `null` stands for none in a list, and for a mistake in a request.
      const body = { name, group_type, ...Object.fromEntries(given.filter((field) => wanted[field] !== null).map((field) => [field, wanted[field]])) }
      ids.set(name, (await createGroup(body as NewGroup)).id)
    }
    return { kind: 'group', name: wanted.name, action: 'create', fields: [], run }
  }
  const fields = given.filter((field) => !isSame(orEmpty(wanted[field]), orEmpty(there[field])))
  if (fields.length === 0) return { kind: 'group', name: wanted.name, action: 'leave', fields: [], run: null }
  const run = async () => {
    const change = Object.fromEntries(fields.map((field) => [field, wanted[field] ?? EMPTY[field] ?? '']))
    await updateGroup(there.id, { ...change, expected_updated_at: there.updated_at })
  }
  return { kind: 'group', name: wanted.name, action: 'change', fields, run }
}

function memberSteps(aggregate: ConfiguredGroup, present: Present, ids: Map<string, number>): Step[] {
  const presentId = present.groups.find(({ name }) => name === aggregate.name)?.id
  const there = presentId === undefined ? [] : (present.members.get(presentId) ?? [])
  const idOf = (name: string) => ids.get(name) ?? 0
  return (aggregate.members ?? []).map(({ name, weight }) => {
    const member = there.find((other) => other.name === name)
    const step = { kind: 'member' as const, name: `${aggregate.name} / ${name}` }
    if (!member) return { ...step, action: 'create', fields: [], run: () => addMembers(idOf(aggregate.name), [{ group_id: idOf(name), weight }]) }
    if (member.weight === weight) return { ...step, action: 'leave', fields: [], run: null }
    return { ...step, action: 'change', fields: [`${member.weight} → ${weight}`], run: () => setMemberWeight(idOf(aggregate.name), member.id, weight) }
  })
}

function fieldsOf(groupType: string): Field[] {
  return FIELDS.filter((field) => groupType !== 'aggregate' || !STANDARD_ONLY.includes(field))
}

/** What clears a field that is none in the file. */
const EMPTY: Partial<Record<Field, unknown>> = { param_overrides: {}, config: {}, header_rules: [], model_redirect_rules: {} }

function orEmpty(value: unknown): unknown {
  const isEmpty = value === null || value === '' || (typeof value === 'object' && Object.keys(value as object).length === 0)
  return isEmpty ? null : value
}

/** Equal as JSON, whatever the order of members. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, member]) => [key, sorted(member)]))
}
