// The settings as they are stored, what was changed here and is not saved, and how it is saved without undoing what others did.
import { useMutation, useQuery, useQueryCache } from '@pinia/colada'
import { computed, ref, shallowRef, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { ApiError } from '@/api/client'
import { fetchSettings, saveSettings, type Setting, type SettingValue, type SettingsAnswer } from '@/api/settings'
import { rebase, storedValues, withDraft, type Drafts, type Stored } from './drafts'
import { faultOf, type Draft } from './settingRules'

export type SaveOutcome = 'saved' | 'changed_meanwhile'

export function useSettings() {
  const { locale } = useI18n()
  const cache = useQueryCache()
  const query = useQuery<SettingsAnswer>({
    key: () => ['settings', 'form', locale.value],
    query: fetchSettings,
    // Another language is other texts, not other values.
    placeholderData: (before) => before,
  })

  const stored = shallowRef<Stored | null>(null)
  const version = shallowRef<string | null>(null)
  const drafts = shallowRef<Drafts>({})
  const taken = ref<string[]>([])
  const contested = ref<string[]>([])

  function take(answer: SettingsAnswer): void {
    const now = storedValues(answer.categories.flatMap(({ settings }) => settings))
    if (stored.value) {
      const rebased = rebase(drafts.value, stored.value, now)
      drafts.value = rebased.drafts
      taken.value = Object.keys(drafts.value).length === 0 ? [] : [...new Set([...taken.value, ...rebased.taken])]
      contested.value = [...new Set([...contested.value, ...rebased.contested])].filter((key) => key in rebased.drafts)
    }
    stored.value = now
    version.value = answer.version
  }
  watch(
    () => (query.isPlaceholderData.value ? undefined : query.data.value),
    (answer) => answer && take(answer),
    { immediate: true },
  )

  const categories = computed(() => query.data.value?.categories ?? [])
  const settings = computed(() => categories.value.flatMap(({ settings }) => settings))
  const byKey = computed(() => new Map(settings.value.map((setting) => [setting.key, setting])))
  const changed = computed(() => settings.value.filter(({ key }) => key in drafts.value))
  const faults = computed(() => new Map(changed.value.flatMap((setting) => {
    const fault = faultOf(setting, drafts.value[setting.key])
    return fault ? [[setting.key, fault] as const] : []
  })))

  function valueOf(key: string): Draft {
    return key in drafts.value ? drafts.value[key] : stored.value?.[key]
  }

  function change(key: string, value: Draft): void {
    if (stored.value) drafts.value = withDraft(drafts.value, stored.value, key, value)
    contested.value = contested.value.filter((other) => other !== key || key in drafts.value)
  }

  function discard(): void {
    drafts.value = {}
    taken.value = []
    contested.value = []
  }

  const saving = useMutation({
    mutation: async (): Promise<SaveOutcome> => {
      const changes = { ...drafts.value } as Record<string, SettingValue>
      try {
        await saveSettings(changes, version.value)
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 'CHANGED_MEANWHILE') throw error
        await query.refetch(true)
        return 'changed_meanwhile'
      }
      stored.value = { ...stored.value, ...changes }
      discard()
      // Effective settings of groups, limits, warnings: all of it may look otherwise now.
      await cache.invalidateQueries()
      return 'saved'
    },
  })

  return { query, categories, settings, byKey, stored, drafts, changed, faults, taken, contested, valueOf, change, discard, saving }
}

export type SettingsForm = ReturnType<typeof useSettings>

/** Whether somebody who looks for this finds the setting. */
export function isFound(setting: Setting, search: string): boolean {
  const text = `${setting.key} ${setting.name} ${setting.description}`.toLocaleLowerCase()
  return search
    .toLocaleLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}
