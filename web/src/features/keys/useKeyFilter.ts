// Which keys are shown and in which order: all of it lives in the address, so that a link shows the same.
import { computed } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'
import { KEY_FILTERS, KEY_SORTS, type BulkChoice, type KeyFilter, type KeyQuery, type KeySort } from '@/api/keys'
import type { RowSelection } from '@/ui/table/rowSelection'

export const SORT_DEFAULT = { by: 'last_used_at', isDescending: true } as const satisfies { by: KeySort; isDescending: boolean }

export type KeyFilterState = Omit<KeyQuery, 'groupId'>

export function readKeyFilter(query: LocationQuery): KeyFilterState {
  const sort = KEY_SORTS.find((name) => name === query.sort)
  return {
    filter: KEY_FILTERS.find((name) => name === query.state) ?? null,
    search: typeof query.q === 'string' ? query.q.trim() : '',
    sort: sort ?? SORT_DEFAULT.by,
    isDescending: sort ? query.order !== 'asc' : SORT_DEFAULT.isDescending,
  }
}

/** What is as usual is left out. */
export function writeKeyFilter(filter: KeyFilterState): Record<'state' | 'q' | 'sort' | 'order', string | undefined> {
  const isUsual = filter.sort === SORT_DEFAULT.by && filter.isDescending === SORT_DEFAULT.isDescending
  return {
    state: filter.filter ?? undefined,
    q: filter.search || undefined,
    sort: isUsual ? undefined : filter.sort,
    order: isUsual || filter.isDescending ? undefined : 'asc',
  }
}

/** What a selection means to the server: names where some are chosen, the filter where all that match are. */
export function choiceOf(selection: Pick<RowSelection<number>, 'isAll' | 'ids'>, filter: Pick<KeyFilterState, 'filter' | 'search'>): BulkChoice {
  if (!selection.isAll.value) return { ids: [...selection.ids] }
  return { filter: filterOf(filter), except_ids: [...selection.ids] }
}

function filterOf({ filter, search }: Pick<KeyFilterState, 'filter' | 'search'>): { status?: KeyFilter; search?: string } {
  return { ...(filter ? { status: filter } : {}), ...(search ? { search } : {}) }
}

export function useKeyFilter() {
  const route = useRoute()
  const router = useRouter()
  const filter = computed(() => readKeyFilter(route.query))

  function change(part: Partial<KeyFilterState>, isTyped = false): void {
    const query = { ...route.query, ...writeKeyFilter({ ...filter.value, ...part }) }
    void (isTyped ? router.replace({ query }) : router.push({ query }))
  }
  return { filter, change }
}
