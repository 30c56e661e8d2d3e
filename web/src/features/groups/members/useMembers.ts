// Members of an aggregate group, and the weights that somebody gives them before he saves them together.
import { useQuery } from '@pinia/colada'
import { computed, reactive, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { fetchMembers, removeMember, setMemberWeight, type GroupMember } from '@/api/groups'
import { useErrorText } from '@/composables/useErrorText'
import { useConfirm } from '@/ui/confirm'
import { useToasts } from '@/ui/toasts'
import { GROUP_KEYS, groupTitle, useGroupsChanged } from '../useGroups'
import { changedWeights, isWeight, shares, type TypedWeight } from './weights'

export function useMembers(id: number) {
  const { t } = useI18n()
  const toasts = useToasts()
  const { confirm } = useConfirm()
  const errorText = useErrorText()
  const groupsChanged = useGroupsChanged()

  const query = useQuery({ key: [...GROUP_KEYS.members(id)], query: ({ signal }) => fetchMembers(id, { signal }) })
  const typed = reactive(new Map<number, TypedWeight>())
  const isSaving = ref(false)

  const members = computed(() => query.data.value ?? [])
  const weightOf = (member: GroupMember): TypedWeight => (typed.has(member.group.id) ? typed.get(member.group.id) : member.weight)
  const rows = computed(() => {
    const before = shares(members.value.map((member) => ({ weight: member.weight, activeKeys: member.active_keys })))
    const now = shares(members.value.map((member) => ({ weight: weightOf(member), activeKeys: member.active_keys })))
    return members.value.map((member, index) => ({ member, weight: weightOf(member), share: now[index] ?? null, shareBefore: before[index] ?? null }))
  })
  const changes = computed(() => changedWeights(members.value, typed))
  const isWrong = computed(() => rows.value.some(({ weight }) => !isWeight(weight)))
  const isChanged = computed(() => changes.value.length > 0 || isWrong.value)

  function type(member: GroupMember, weight: TypedWeight): void {
    if (weight === member.weight) typed.delete(member.group.id)
    else typed.set(member.group.id, weight)
  }

  function revert(): void {
    typed.clear()
  }

  function equalize(): void {
    const highest = Math.max(...members.value.map((member) => member.weight), 1)
    for (const member of members.value) type(member, highest)
  }

  async function save(): Promise<void> {
    if (isWrong.value || isSaving.value) return
    const wanted = changes.value
    isSaving.value = true
    let saved = 0
    try {
      // Raised before they are lowered: there is no moment in which nobody serves.
      for (const { id: memberId, to } of [...wanted].sort((a, b) => b.to - b.from - (a.to - a.from))) {
        await setMemberWeight(id, memberId, to)
        saved++
      }
      typed.clear()
      toasts.done(t('groups.members.saved'))
    } catch (error) {
      toasts.problem(t('groups.members.save_failed', { saved, count: wanted.length, reason: errorText(error) }))
    } finally {
      isSaving.value = false
    }
    await groupsChanged()
    for (const member of members.value) if (typed.get(member.group.id) === member.weight) typed.delete(member.group.id)
  }

  async function remove(member: GroupMember): Promise<void> {
    const name = groupTitle(member.group)
    const isSure = await confirm({
      title: t('groups.members.remove_title', { name }),
      text: members.value.length === 1 ? t('groups.members.remove_last') : t('groups.members.remove_text'),
      action: t('groups.members.remove_action'),
      isDangerous: true,
    })
    if (!isSure) return
    try {
      await removeMember(id, member.group.id)
      typed.delete(member.group.id)
      toasts.done(t('groups.members.removed', { name }))
      await groupsChanged()
    } catch (error) {
      toasts.problem(t('groups.members.remove_failed', { reason: errorText(error) }))
    }
  }

  return { query, members, rows, changes, isWrong, isChanged, isSaving, type, revert, equalize, save, remove }
}
