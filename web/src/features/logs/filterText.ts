// A filter in words: the name of its field and what it wants.
import { useI18n } from 'vue-i18n'
import type { GroupSummary } from '@/api/groups'
import type { LogSummary } from '@/api/logs'
import type { FilterName } from './filters'

/** Those that look for a part of a text; all others compare the whole. */
const CONTAINED: readonly FilterName[] = ['model', 'group_name', 'parent_group_name', 'error_contains', 'upstream_addr']
/** Of a hash, so much tells one key from another. */
const HASH_CHARACTERS = 8

export interface KnownNames {
  groups: readonly GroupSummary[] | undefined
  summary: LogSummary | undefined
}

export function useFilterText(names: () => KnownNames) {
  const { t } = useI18n()

  function valueText(name: FilterName, value: string): string {
    if (name === 'group_id') {
      const group = names().groups?.find(({ id }) => String(id) === value)
      return group ? group.display_name || group.name : `#${value}`
    }
    if (name === 'key_hash') return names().summary?.keys.find((key) => key.value === value)?.masked || `#${value.slice(0, HASH_CHARACTERS)}…`
    if (name === 'verdict') return t(`verdicts.${value}`)
    if (name === 'is_success' || name === 'request_type') return t(`logs.choices.${name}.${value}`)
    return value
  }

  return {
    fieldText: (name: FilterName) => t(`logs.fields.${name}`),
    isContained: (name: FilterName) => CONTAINED.includes(name),
    valueText,
  }
}
