// What somebody changed but has not saved, over what is stored: also where others save something else meanwhile.
import type { Setting, SettingValue } from '@/api/settings'
import type { Draft } from './settingRules'

export type Drafts = Readonly<Record<string, Draft>>
export type Stored = Readonly<Record<string, SettingValue>>

export function storedValues(settings: readonly Setting[]): Stored {
  return Object.fromEntries(settings.map(({ key, value }) => [key, value as SettingValue]))
}

/** With a new value for one setting; one that is as it is stored is no draft. */
export function withDraft(drafts: Drafts, stored: Stored, key: string, value: Draft): Drafts {
  const { [key]: _, ...others } = drafts
  return value === stored[key] ? others : { ...others, [key]: value }
}

export interface Rebased {
  drafts: Drafts
  /** What others changed and we did not: it is taken over. */
  taken: string[]
  /** What both changed, to different values: ours stays until somebody decides. */
  contested: string[]
}

/** The same drafts over what is stored now. */
export function rebase(drafts: Drafts, before: Stored, now: Stored): Rebased {
  const changed = Object.keys(now).filter((key) => now[key] !== before[key])
  const kept = Object.entries(drafts).filter(([key, value]) => key in now && value !== now[key])
  return {
    drafts: Object.fromEntries(kept),
    taken: changed.filter((key) => !(key in drafts)),
    contested: changed.filter((key) => kept.some(([draft]) => draft === key)),
  }
}
