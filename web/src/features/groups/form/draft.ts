// A group as one types it, and what of it is to be saved. What was not touched is not sent, so saving it changes nothing.
import type { Group, GroupChange, NewGroup } from '@/api/groups'
import type { Draft as SettingDraft } from '@/features/settings/settingRules'
import { channelFacts } from '../channels'
import { isBlankHeader, type HeaderDraft } from './headers'
import { redirectMap, redirectRows, type RedirectDraft } from './redirects'
import type { UpstreamDraft } from './upstreams'

export interface GroupDraft {
  group_type: 'standard' | 'aggregate'
  name: string
  display_name: string
  description: string
  channel_type: string
  /** `null` and `undefined` as UiNumber has them. */
  sort: SettingDraft
  test_model: string
  validation_endpoint: string
  proxy_keys: string
  upstreams: UpstreamDraft[]
  /** Only what the group sets differently: 0, false and the empty text are values too. */
  config: Record<string, SettingDraft>
  header_rules: HeaderDraft[]
  redirects: RedirectDraft[]
  model_redirect_strict: boolean
  /** JSON, as it is typed. */
  param_overrides: string
}

/** The fields that are saved, in the order in which they are shown. */
export const FIELDS = [
  'name',
  'display_name',
  'channel_type',
  'sort',
  'description',
  'proxy_keys',
  'upstreams',
  'test_model',
  'validation_endpoint',
  'config',
  'header_rules',
  'model_redirect_strict',
  'model_redirect_rules',
  'param_overrides',
] as const
export type Field = (typeof FIELDS)[number]

/** Of an aggregate group; the others have no meaning there. */
const AGGREGATE_FIELDS: readonly Field[] = ['name', 'display_name', 'channel_type', 'sort', 'description', 'proxy_keys']

export function fieldsOf(type: GroupDraft['group_type']): readonly Field[] {
  return type === 'aggregate' ? AGGREGATE_FIELDS : FIELDS
}

export function newDraft(type: GroupDraft['group_type'], channel: string, sort: number): GroupDraft {
  const facts = channelFacts(channel)
  return {
    group_type: type,
    name: '',
    display_name: '',
    description: '',
    channel_type: channel,
    sort,
    test_model: facts.testModel,
    validation_endpoint: '',
    proxy_keys: '',
    upstreams: [{ url: facts.upstream, weight: 1 }],
    config: {},
    header_rules: [],
    redirects: [],
    model_redirect_strict: false,
    param_overrides: '',
  }
}

/** Another channel brings its own model and address along, where nobody typed others. */
export function withChannel(draft: GroupDraft, channel: string): Pick<GroupDraft, 'channel_type' | 'test_model' | 'upstreams'> {
  const [before, after] = [channelFacts(draft.channel_type), channelFacts(channel)]
  const [first, ...rest] = draft.upstreams
  const isFirstUntouched = first !== undefined && (first.url.trim() === before.upstream || first.url.trim() === '')
  return {
    channel_type: channel,
    test_model: draft.test_model.trim() === before.testModel || draft.test_model.trim() === '' ? after.testModel : draft.test_model,
    upstreams: isFirstUntouched ? [{ ...first, url: after.upstream }, ...rest] : draft.upstreams,
  }
}

export function draftOf(group: Group): GroupDraft {
  const overrides = group.param_overrides as Record<string, unknown> | null
  return {
    group_type: group.group_type === 'aggregate' ? 'aggregate' : 'standard',
    name: group.name,
    display_name: group.display_name,
    description: group.description,
    channel_type: group.channel_type,
    sort: group.sort,
    test_model: group.test_model,
    validation_endpoint: group.validation_endpoint,
    proxy_keys: group.proxy_keys,
    upstreams: group.upstreams.map(({ url, weight }) => ({ url, weight })),
    config: Object.fromEntries(Object.entries((group.config as Record<string, SettingDraft> | null) ?? {}).filter(([, value]) => value !== null)),
    header_rules: (group.header_rules ?? []).map(({ key, value, action }) => ({ key, value, action })),
    redirects: redirectRows(group.model_redirect_rules),
    model_redirect_strict: group.model_redirect_strict,
    param_overrides: overrides && Object.keys(overrides).length > 0 ? JSON.stringify(overrides, null, 2) : '',
  }
}

/** What each field of a draft means, in the form in which it is sent. Blanks that the server cuts off are cut off here. */
export function valuesOf(draft: GroupDraft): Record<Field, unknown> {
  return {
    name: draft.name.trim(),
    display_name: draft.display_name.trim(),
    channel_type: draft.channel_type,
    sort: draft.sort,
    description: draft.description.trim(),
    proxy_keys: draft.proxy_keys,
    upstreams: draft.upstreams.map(({ url, weight }) => ({ url: url.trim(), weight })),
    test_model: draft.test_model.trim(),
    validation_endpoint: draft.validation_endpoint.trim(),
    config: draft.config,
    header_rules: draft.header_rules.filter((rule) => !isBlankHeader(rule)).map(({ key, value, action }) => ({ key: key.trim(), value: action === 'remove' ? '' : value, action })),
    model_redirect_strict: draft.model_redirect_strict,
    model_redirect_rules: redirectMap(draft.redirects),
    param_overrides: parsedOverrides(draft.param_overrides),
  }
}

function parsedOverrides(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    // Said beside the field; until it is mended it only matters that it differs from what is stored.
    return text
  }
}

/** The same whatever the order of members: a stored object comes in another order than one types it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    member && typeof member === 'object' && !Array.isArray(member) ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1))) : member === undefined ? '\u0000undefined' : member,
  )
}

/** The fields in which two drafts mean something else. */
export function changedFields(before: GroupDraft, after: GroupDraft): Field[] {
  const [old, now] = [valuesOf(before), valuesOf(after)]
  return fieldsOf(after.group_type).filter((field) => canonical(old[field]) !== canonical(now[field]))
}

/** What is sent to change a stored group: the changed fields but for `param_overrides`, and which state they were made on. */
export function changeOf(before: GroupDraft, after: GroupDraft, expectedUpdatedAt: string): GroupChange {
  const values = valuesOf(after)
  const changes = Object.fromEntries(changedFields(before, after).filter((field) => field !== 'param_overrides').map((field) => [field, values[field]]))
  return { ...changes, expected_updated_at: expectedUpdatedAt } as GroupChange
}

/** The parameter overrides as they are sent beside the rest: as they were typed, since JavaScript would round large numbers. */
export function overridesText(draft: GroupDraft): string {
  return draft.param_overrides.trim() || '{}'
}

/** What is sent to make a new one, but for `param_overrides`: what is empty is left out. */
export function creationOf(draft: GroupDraft): NewGroup {
  const values = valuesOf(draft)
  const isEmpty = (value: unknown) => value === '' || value === false || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  const given = fieldsOf(draft.group_type).filter((field) => field !== 'param_overrides' && !isEmpty(values[field]))
  return { group_type: draft.group_type, ...Object.fromEntries(given.map((field) => [field, values[field]])) } as NewGroup
}
