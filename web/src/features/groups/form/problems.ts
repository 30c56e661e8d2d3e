// What is wrong with a group as it is typed: the same rules as the server's, said before it is asked.
import { PROXY_KEYS_CHARACTERS_MAX } from '@/features/proxy-keys/proxyKeys'
import { faultOf, type SettingShape } from '@/features/settings/settingRules'
import { DISPLAY_NAME_CHARACTERS_MAX, nameProblem } from '../copyName'
import { fieldsOf, type Field, type GroupDraft } from './draft'
import { headerProblem } from './headers'
import { jsonProblem } from './json'
import { redirectProblem } from './redirects'
import { isUpstreamWeight, urlProblem } from './upstreams'

export const DESCRIPTION_CHARACTERS_MAX = 512
export const MODEL_CHARACTERS_MAX = 255
export const PATH_CHARACTERS_MAX = 255

export interface Surroundings {
  /** Names of the other groups. */
  taken: readonly string[]
  settings: readonly SettingShape[]
}

export function length(text: string): number {
  return [...text.trim()].length
}

export type PathProblem = 'slash' | 'address' | 'long'

export function pathProblem(typed: string): PathProblem | null {
  const path = typed.trim()
  if (path === '') return null
  if (path.includes('://')) return 'address'
  if (!path.startsWith('/')) return 'slash'
  return length(path) > PATH_CHARACTERS_MAX ? 'long' : null
}

export function isSort(sort: unknown): boolean {
  return typeof sort === 'number' && sort >= 0
}

/** JSON that is an object, or nothing at all. */
export function areOverridesRight(text: string): boolean {
  if (text.trim() === '') return true
  if (jsonProblem(text)) return false
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const CHECKS: Record<Field, (draft: GroupDraft, around: Surroundings) => boolean> = {
  name: (draft, { taken }) => nameProblem(draft.name, taken) === null,
  display_name: (draft) => length(draft.display_name) <= DISPLAY_NAME_CHARACTERS_MAX,
  channel_type: (draft) => draft.channel_type !== '',
  sort: (draft) => isSort(draft.sort),
  description: (draft) => length(draft.description) <= DESCRIPTION_CHARACTERS_MAX,
  proxy_keys: (draft) => length(draft.proxy_keys) <= PROXY_KEYS_CHARACTERS_MAX,
  upstreams: (draft) =>
    draft.upstreams.length > 0 && draft.upstreams.every(({ url, weight }) => urlProblem(url) === null && isUpstreamWeight(weight)) && draft.upstreams.some(({ weight }) => weight !== 0),
  test_model: (draft) => length(draft.test_model) > 0 && length(draft.test_model) <= MODEL_CHARACTERS_MAX,
  validation_endpoint: (draft) => pathProblem(draft.validation_endpoint) === null,
  config: (draft, { settings }) => settings.every((setting) => !(setting.key in draft.config) || faultOf(setting, draft.config[setting.key]) === null),
  header_rules: (draft) => draft.header_rules.every((rule) => headerProblem(rule, draft.header_rules.filter((other) => other !== rule)) === null),
  model_redirect_strict: () => true,
  model_redirect_rules: (draft) => draft.redirects.every((_, index) => redirectProblem(draft.redirects, index) === null),
  param_overrides: (draft) => areOverridesRight(draft.param_overrides),
}

export function wrongFields(draft: GroupDraft, around: Surroundings): Field[] {
  return fieldsOf(draft.group_type).filter((field) => !CHECKS[field](draft, around))
}
