// The form of a group: what is typed, what is wrong with it, how it is saved, and what happens when others were faster.
import { useQuery } from '@pinia/colada'
import { computed, inject, provide, reactive, ref, shallowRef, toRaw, type InjectionKey } from 'vue'
import { useI18n } from 'vue-i18n'
import { ApiError } from '@/api/client'
import { createGroup, fetchConfigOptions, fetchGroups, updateGroup, type Group } from '@/api/groups'
import { fetchSettings, type Setting } from '@/api/settings'
import { GROUP_KEYS, useGroups, useGroupsChanged } from '../useGroups'
import { rebased, take } from './diff'
import { changedFields, changeOf, creationOf, draftOf, newDraft, overridesText, type Field, type GroupDraft } from './draft'
import { wrongFields } from './problems'

/** Settings that a group may override, with what it would inherit and the bounds. */
export type InheritedSetting = Setting

export interface Meanwhile {
  /** The state that the changes were made on before, to show what others did. */
  before: GroupDraft
  contested: Field[]
}

export type SaveOutcome = 'saved' | 'changed_meanwhile' | 'gone'

function plain(draft: GroupDraft): GroupDraft {
  return JSON.parse(JSON.stringify(toRaw(draft))) as GroupDraft
}

/** @param group is `null` for a new one. */
export function createGroupForm(group: Group | null) {
  const { locale } = useI18n()
  const { data: groups } = useGroups()
  const groupsChanged = useGroupsChanged()

  const base = shallowRef(group)
  const before = shallowRef<GroupDraft>(group ? draftOf(group) : newDraft('standard', 'openai', 0))
  const draft = reactive<GroupDraft>(plain(before.value))
  const isTried = ref(false)
  const isSaving = ref(false)
  const failure = shallowRef<unknown>(null)
  const meanwhile = shallowRef<Meanwhile | null>(null)

  const options = useQuery({ key: [...GROUP_KEYS.options], query: fetchConfigOptions })
  const installation = useQuery({ key: () => ['settings', 'form', locale.value], query: fetchSettings, placeholderData: (answer) => answer })
  const settings = computed<InheritedSetting[]>(() => {
    const byKey = new Map(installation.data.value?.categories.flatMap((category) => category.settings).map((setting) => [setting.key, setting]))
    return (options.data.value ?? []).flatMap((option) => byKey.get(option.key) ?? [])
  })
  const settingsError = computed(() => options.error.value ?? installation.error.value)

  const taken = computed(() => (groups.value ?? []).filter((other) => other.id !== base.value?.id).map((other) => other.name))
  const wrong = computed(() => wrongFields(draft, { taken: taken.value, settings: settings.value }))
  const changed = computed(() => changedFields(before.value, draft))

  function put(wanted: GroupDraft): void {
    Object.assign(draft, plain(wanted))
  }

  /** Begins with a draft that counts as untouched. */
  function begin(wanted: GroupDraft): void {
    before.value = plain(wanted)
    put(wanted)
  }

  function discard(): void {
    put(before.value)
    meanwhile.value = null
    failure.value = null
    isTried.value = false
  }

  function keepTheirs(field: Field): void {
    take(draft, before.value, field)
    if (meanwhile.value) meanwhile.value = { ...meanwhile.value, contested: meanwhile.value.contested.filter((other) => other !== field) }
  }

  /** Another state of the group is stored: ours goes over it, and what is shown is where the two meet. */
  function follow(theirs: Group): void {
    if (!base.value || theirs.updated_at === base.value.updated_at) return
    const stored = draftOf(theirs)
    if (changed.value.length > 0) {
      const { draft: merged, contested } = rebased(before.value, plain(draft), stored)
      meanwhile.value = { before: meanwhile.value?.before ?? before.value, contested }
      before.value = stored
      put(merged)
    } else begin(stored)
    base.value = theirs
  }

  async function save(): Promise<SaveOutcome> {
    const stored = base.value
    if (!stored) return 'gone'
    isSaving.value = true
    failure.value = null
    try {
      const saved = await updateGroup(
        stored.id,
        changeOf(before.value, plain(draft), stored.updated_at),
        changed.value.includes('param_overrides') ? overridesText(draft) : undefined,
      )
      base.value = saved
      begin(draftOf(saved))
      meanwhile.value = null
      isTried.value = false
      await groupsChanged()
      return 'saved'
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'CHANGED_MEANWHILE') throw fail(error)
      const theirs = (await fetchGroups().catch((again: unknown) => Promise.reject(fail(again)))).find((other) => other.id === stored.id)
      if (!theirs) return 'gone'
      follow(theirs)
      await groupsChanged()
      return 'changed_meanwhile'
    } finally {
      isSaving.value = false
    }
  }

  async function create(): Promise<Group> {
    isSaving.value = true
    failure.value = null
    try {
      const created = await createGroup(creationOf(plain(draft)), draft.group_type === 'aggregate' || draft.param_overrides.trim() === '' ? undefined : overridesText(draft))
      before.value = plain(draft)
      await groupsChanged()
      return created
    } catch (error) {
      throw fail(error)
    } finally {
      isSaving.value = false
    }
  }

  function fail(error: unknown): unknown {
    failure.value = error
    return error
  }

  return { base, before, draft, isTried, isSaving, failure, meanwhile, settings, settingsError, taken, wrong, changed, begin, discard, keepTheirs, follow, save, create }
}

export type GroupForm = ReturnType<typeof createGroupForm>

const FORM: InjectionKey<GroupForm> = Symbol('the form of a group')

export function provideGroupForm(form: GroupForm): void {
  provide(FORM, form)
}

/** The form that a section of it stands in. */
export function useGroupForm(): GroupForm {
  const form = inject(FORM)
  if (!form) throw new Error('useGroupForm is for what stands in GroupForm')
  return form
}
