// What changes between two states of a group, field by field, as lines that go and lines that come.
import { maskProxyKey, parseProxyKeys } from '@/features/proxy-keys/proxyKeys'
import type { Draft as SettingDraft } from '@/features/settings/settingRules'
import { changedFields, valuesOf, type Field, type GroupDraft } from './draft'

export interface DiffRow {
  field: Field
  /** Of one setting among those that the group overrides. */
  setting?: string
  removed: string[]
  added: string[]
}

export interface Words {
  channel: (channel: string) => string
  /** `undefined`: the group says nothing, what it inherits holds. */
  setting: (key: string, value: SettingDraft | undefined) => string
  onOff: (on: boolean) => string
  upstream: (url: string, weight: SettingDraft) => string
  removal: (header: string) => string
}

export function diffRows(before: GroupDraft, after: GroupDraft, words: Words): DiffRow[] {
  return changedFields(before, after).flatMap((field) => rowsOf(field, before, after, words))
}

function rowsOf(field: Field, before: GroupDraft, after: GroupDraft, words: Words): DiffRow[] {
  if (field === 'config') {
    const keys = [...new Set([...Object.keys(before.config), ...Object.keys(after.config)])]
    return keys
      .filter((key) => before.config[key] !== after.config[key] || key in before.config !== key in after.config)
      .map((key) => ({ field, setting: key, removed: [words.setting(key, before.config[key])], added: [words.setting(key, after.config[key])] }))
  }
  const [old, now] = [lines(field, before, words), lines(field, after, words)]
  const removed = old.filter((line) => !now.includes(line))
  const added = now.filter((line) => !old.includes(line))
  // The same lines in another order, or one of them twice: then all are shown.
  return removed.length + added.length === 0 ? [{ field, removed: old, added: now }] : [{ field, removed, added }]
}

function lines(field: Exclude<Field, 'config'>, draft: GroupDraft, words: Words): string[] {
  switch (field) {
    case 'channel_type':
      return [words.channel(draft.channel_type)]
    case 'proxy_keys':
      return parseProxyKeys(draft.proxy_keys).map(maskProxyKey)
    case 'upstreams':
      return draft.upstreams.map(({ url, weight }) => words.upstream(url.trim(), weight))
    case 'header_rules':
      return (valuesOf(draft).header_rules as GroupDraft['header_rules']).map(({ key, value, action }) => (action === 'remove' ? words.removal(key) : `${key}: ${value}`))
    case 'model_redirect_rules':
      return Object.entries(valuesOf(draft).model_redirect_rules as Record<string, string>).map(([source, target]) => `${source} → ${target}`)
    case 'model_redirect_strict':
      return [words.onOff(draft.model_redirect_strict)]
    case 'param_overrides': {
      const value = valuesOf(draft).param_overrides
      if (typeof value !== 'object' || value === null) return [draft.param_overrides]
      return Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${JSON.stringify(member)}`)
    }
    default: {
      const text = String(valuesOf(draft)[field] ?? '')
      return text === '' ? [] : [text]
    }
  }
}

/** The same changes on another state: what others did stays, what was changed here goes over it. */
export function rebased(before: GroupDraft, after: GroupDraft, theirs: GroupDraft): { draft: GroupDraft; contested: Field[] } {
  const mine = changedFields(before, after)
  const draft = structuredClone(theirs)
  for (const field of mine) take(draft, after, field)
  const others = changedFields(before, theirs)
  return { draft, contested: mine.filter((field) => others.includes(field) && changedFields(theirs, draft).includes(field)) }
}

/** Puts one field of another draft in the place of this one's. */
export function take(into: GroupDraft, from: GroupDraft, field: Field): void {
  const member = field === 'model_redirect_rules' ? 'redirects' : field
  Object.assign(into, { [member]: structuredClone(from[member]) })
}
