// Which rows are chosen: some by their ids, or all that match but for some. "All" needs no ids, however many rows there are.
import { computed, readonly, ref, shallowReactive, type Ref } from 'vue'

export type RowId = number | string

export interface RowSelection<Id extends RowId> {
  /** Whether all that match are chosen, but for `ids`; else `ids` are. */
  readonly isAll: Readonly<Ref<boolean>>
  readonly ids: ReadonlySet<Id>
  readonly isEmpty: Readonly<Ref<boolean>>
  has(id: Id): boolean
  set(ids: Iterable<Id>, isChosen: boolean): void
  chooseAll(): void
  clear(): void
  /** How many are chosen of so many that match. */
  count(total: number | null): number
}

export function useRowSelection<Id extends RowId>(): RowSelection<Id> {
  const isAll = ref(false)
  const ids = shallowReactive(new Set<Id>())
  const has = (id: Id) => isAll.value !== ids.has(id)

  return {
    isAll: readonly(isAll),
    ids,
    isEmpty: computed(() => !isAll.value && ids.size === 0),
    has,
    set(wanted, isChosen) {
      for (const id of wanted) {
        if (isChosen !== isAll.value) ids.add(id)
        else ids.delete(id)
      }
    },
    chooseAll() {
      isAll.value = true
      ids.clear()
    },
    clear() {
      isAll.value = false
      ids.clear()
    },
    count: (total) => (isAll.value ? Math.max((total ?? 0) - ids.size, 0) : ids.size),
  }
}
