// Everything that the palette can lead to or do: places and actions from here, groups as known, the rest as the server finds it.
import { Cog, FileUp, Keyboard, KeyRound, Languages, Layers, LogOut, Monitor, Moon, Plus, ScrollText, Sun } from '@lucide/vue'
import { computed, ref, watch, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { searchEverything, type SearchResults } from '@/api/search'
import { useFormat } from '@/composables/useFormat'
import { THEMES, useTheme } from '@/composables/useTheme'
import { SECTIONS } from '@/features/frame/sections'
import { useSignOut } from '@/features/frame/useSignOut'
import { groupTitle, useGroups } from '@/features/groups/useGroups'
import { LANGUAGES, LANGUAGE_NAMES, chooseLanguage } from '@/locales'
import { fitting, readRecent, type Entry } from './entries'

export type Mode = 'all' | 'import'

/** While somebody types the server is not asked; fewer letters fit everything. */
const SETTLE_MS = 200
const QUERY_LENGTH_MIN = 2
/** A longer text is no key, no name and no number of a request. */
const QUERY_LENGTH_MAX = 500
const FOUND_MAX = 8
const GROUPS_MAX = 8

export function useEntries(query: Readonly<Ref<string>>, mode: Ref<Mode>, showShortcuts: () => void) {
  const { t } = useI18n()
  const format = useFormat()
  const { chooseTheme } = useTheme()
  const signOut = useSignOut()
  const { data: groups } = useGroups()

  const places = computed<Entry[]>(() => SECTIONS.map(({ name, path, icon, keys }) => ({ id: `place:${name}`, section: 'places', text: t(`frame.sections.${name}`), icon, keys, to: path })))

  const groupEntries = computed<Entry[]>(() =>
    (groups.value ?? [])
      .filter((group) => mode.value === 'all' || group.group_type !== 'aggregate')
      .map((group) => ({
        id: `group:${group.id}`,
        section: 'groups',
        text: groupTitle(group),
        detail: group.name,
        otherWords: group.description,
        icon: Layers,
        to: mode.value === 'import' ? { name: 'group-keys', params: { id: group.id }, query: { dialog: 'import' } } : { name: 'group', params: { id: group.id } },
      })),
  )

  const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon }
  const actions = computed<Entry[]>(() => {
    const action = (id: string, more: Omit<Entry, 'id' | 'section'>): Entry => ({ id: `action:${id}`, section: 'actions', ...more })
    return [
      action('new-group', { text: t('palette.actions.new_group'), icon: Plus, to: { name: 'group-new' } }),
      action('import', { text: t('palette.actions.import'), icon: FileUp, isStaying: true, run: () => (mode.value = 'import') }),
      ...THEMES.map((theme) => action(`theme-${theme}`, { text: t('palette.actions.theme', { theme: t(`frame.themes.${theme}`) }), icon: THEME_ICONS[theme], run: () => chooseTheme(theme) })),
      ...LANGUAGES.map((language) => action(`language-${language}`, { text: t('palette.actions.language', { language: LANGUAGE_NAMES[language] }), icon: Languages, run: () => void chooseLanguage(language) })),
      action('shortcuts', { text: t('frame.shortcuts.title'), icon: Keyboard, keys: '?', run: showShortcuts }),
      action('sign-out', { text: t('frame.sign_out'), icon: LogOut, run: () => void signOut() }),
    ]
  })

  const found = ref<SearchResults | null>(null)
  const isSearching = ref(false)
  const problem = ref<unknown>(null)
  watch(
    [query, mode],
    ([text, of], _, onCleanup) => {
      const wanted = text.trim()
      problem.value = null
      found.value = null
      isSearching.value = of === 'all' && wanted.length >= QUERY_LENGTH_MIN && wanted.length <= QUERY_LENGTH_MAX
      if (!isSearching.value) return
      const abort = new AbortController()
      const timer = setTimeout(async () => {
        try {
          const results = await searchEverything(wanted, FOUND_MAX, abort.signal)
          // An answer to what is no longer asked is dropped.
          if (!abort.signal.aborted) found.value = results
        } catch (error) {
          if (!abort.signal.aborted) problem.value = error
        } finally {
          if (!abort.signal.aborted) isSearching.value = false
        }
      }, SETTLE_MS)
      onCleanup(() => {
        clearTimeout(timer)
        abort.abort()
      })
    },
    { immediate: true },
  )

  const foundEntries = computed<Entry[]>(() => {
    const results = found.value
    if (!results) return []
    return [
      ...results.keys.map(
        (key): Entry => ({
          id: `key:${key.id}`,
          section: 'keys',
          text: key.masked,
          detail: [key.group_name, t(`keys.states.${key.state}`), key.notes].filter(Boolean).join(' · '),
          icon: KeyRound,
          isMono: true,
          to: { name: 'group-keys', params: { id: key.group_id }, query: { key: key.id } },
        }),
      ),
      // Each try of a request is one finding; they lead to the same place.
      ...results.requests.filter((request, at) => results.requests.findIndex((other) => other.request_id === request.request_id) === at).map(
        (request): Entry => ({
          id: `request:${request.request_id}`,
          section: 'requests',
          text: request.request_id,
          detail: [request.status_code, request.group_name, request.model, format.dateTime(request.timestamp)].filter(Boolean).join(' · '),
          icon: ScrollText,
          isMono: true,
          to: { name: 'logs', query: { request_id: request.request_id } },
        }),
      ),
      ...results.settings.map((setting): Entry => ({ id: `setting:${setting.key}`, section: 'settings', text: setting.name, detail: setting.key, icon: Cog, to: { name: 'settings', query: { setting: setting.key } } })),
    ]
  })

  const entries = computed<Entry[]>(() => {
    const text = query.value.trim()
    const ofGroups = fitting(groupEntries.value, text, GROUPS_MAX)
    if (mode.value === 'import') return ofGroups
    const own = [...fitting(places.value, text, places.value.length), ...ofGroups, ...fitting(actions.value, text, actions.value.length)]
    if (text !== '') return [...own, ...foundEntries.value]
    const known = [...groupEntries.value, ...actions.value, ...places.value]
    const recent = readRecent().flatMap((id) => known.filter((entry) => entry.id === id))
    return [...recent.map((entry): Entry => ({ ...entry, section: 'recent' })), ...own.filter((entry) => !recent.some(({ id }) => id === entry.id))]
  })

  return { entries, isSearching, problem, areKeysIncomplete: computed(() => found.value?.keys_are_complete === false) }
}
