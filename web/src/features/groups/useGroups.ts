// Groups as the console holds them: one list for all pages, and one group out of it.
import { useQuery, useQueryCache } from '@pinia/colada'
import { computed, inject, provide, toValue, type ComputedRef, type InjectionKey, type MaybeRefOrGetter } from 'vue'
import { fetchGroups, fetchGroupsSummary, type Group } from '@/api/groups'
import { useLiveQuery } from '@/composables/useLiveQuery'

export const GROUP_KEYS = {
  /** Everything about groups: what a change makes old. */
  all: ['groups'],
  list: ['groups', 'list'],
  summary: ['groups', 'summary'],
  options: ['groups', 'config-options'],
  stats: (id: number) => ['groups', id, 'stats'],
  effective: (id: number) => ['groups', id, 'effective-config'],
  parents: (id: number) => ['groups', id, 'parents'],
  members: (id: number) => ['groups', id, 'members'],
  upstreams: (id: number) => ['groups', id, 'upstreams'],
} as const

export const BOARD_EVERY_MS = 15_000

export function useGroups() {
  return useQuery({ key: [...GROUP_KEYS.list], query: fetchGroups })
}

export function useGroup(id: MaybeRefOrGetter<number | null>) {
  const groups = useGroups()
  const group = computed(() => groups.data.value?.find((group) => group.id === toValue(id)) ?? null)
  return { ...groups, group }
}

/** How each group is, kept fresh. */
export function useGroupBoard() {
  return useLiveQuery({ key: [...GROUP_KEYS.summary], query: fetchGroupsSummary }, BOARD_EVERY_MS)
}

/** After a change: what is known of groups is old. */
export function useGroupsChanged(): () => Promise<unknown> {
  const cache = useQueryCache()
  return () => cache.invalidateQueries({ key: [...GROUP_KEYS.all] })
}

const THIS_GROUP: InjectionKey<ComputedRef<Group>> = Symbol('the group of the page')

export function provideThisGroup(group: ComputedRef<Group>): void {
  provide(THIS_GROUP, group)
}

/** The group of the page, below pages/GroupPage.vue. */
export function useThisGroup(): ComputedRef<Group> {
  const group = inject(THIS_GROUP)
  if (!group) throw new Error('useThisGroup is for what stands below GroupPage')
  return group
}

/** What people call a group. */
export function groupTitle(group: { name: string; display_name: string }): string {
  return group.display_name.trim() || group.name
}
