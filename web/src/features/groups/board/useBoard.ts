// The board of groups: what of it is shown, as the address says, and the order that somebody is giving it.
import { computed, onScopeDispose, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useRoute, useRouter } from 'vue-router'
import { reorderGroups, type GroupSummary } from '@/api/groups'
import { useErrorText } from '@/composables/useErrorText'
import { useToasts } from '@/ui/toasts'
import { groupTitle, useGroupBoard, useGroupsChanged } from '../useGroups'
import { countByHealth, matching, moved, positionsToSave, readView, sorted, writeView, type BoardView, type Sort } from './board'

/** Several moves in a row are saved as one. */
const SAVE_AFTER_MS = 700

export function useBoard() {
  const route = useRoute()
  const router = useRouter()
  const board = useGroupBoard()

  const view = computed(() => readView(route.query))
  const show = (change: Partial<BoardView>) => {
    const location = { query: writeView({ ...view.value, ...change }) }
    // Typing is no step to go back to.
    return Object.keys(change).every((name) => name === 'search') ? router.replace(location) : router.push(location)
  }
  /** First as is most useful, then the other way round, then the own order again. */
  function sortBy(sort: Sort): void {
    const { sort: now, isReversed } = view.value
    if (now !== sort) void show({ sort, isReversed: false })
    else if (!isReversed) void show({ isReversed: true })
    else void show({ sort: 'own', isReversed: false })
  }

  const all = computed(() => board.data.value ?? [])
  const counts = computed(() => countByHealth(matching(all.value, { ...view.value, health: null })))
  const groups = computed(() => sorted(matching(all.value, view.value), view.value.sort, view.value.isReversed))
  const isFiltered = computed(() => Boolean(view.value.search || view.value.health || view.value.channel))

  return { board, view, show, sortBy, all, groups, counts, isFiltered }
}

/** Puts groups in another order, by pointer or keyboard, and saves it; what cannot be saved goes back. */
export function useArranging(groups: () => readonly GroupSummary[]) {
  const { t } = useI18n()
  const toasts = useToasts()
  const errorText = useErrorText()
  const groupsChanged = useGroupsChanged()

  const isArranging = ref(false)
  const isSaving = ref(false)
  /** Of those who listen to the page. */
  const said = ref('')
  const order = ref<number[] | null>(null)
  let timer: ReturnType<typeof setTimeout> | undefined

  const arranged = computed(() => {
    const byId = new Map(groups().map((group) => [group.id, group]))
    if (!order.value) return [...byId.values()]
    const known = order.value.flatMap((id) => byId.get(id) ?? [])
    // One that came meanwhile stands at the end.
    return [...known, ...[...byId.values()].filter((group) => !order.value?.includes(group.id))]
  })

  function move(id: number, to: number): void {
    const before = arranged.value.map((group) => group.id)
    const after = moved(before, id, to)
    if (after.every((other, index) => other === before[index])) return
    order.value = after
    const group = arranged.value.find((group) => group.id === id)
    if (group) said.value = t('groups.arrange.moved', { name: groupTitle(group), position: after.indexOf(id) + 1, count: after.length })
    clearTimeout(timer)
    timer = setTimeout(() => void save(), SAVE_AFTER_MS)
  }

  async function save(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const wanted = order.value
    if (!wanted) return
    // A second save waits for the first: they would overtake each other.
    if (isSaving.value) {
      timer = setTimeout(() => void save(), SAVE_AFTER_MS)
      return
    }
    const items = positionsToSave(wanted, groups())
    if (items.length === 0) return
    isSaving.value = true
    try {
      await reorderGroups(items)
      await groupsChanged()
      if (order.value === wanted) order.value = null
    } catch (error) {
      order.value = null
      said.value = t('groups.arrange.restored')
      toasts.problem(t('groups.arrange.failed', { reason: errorText(error) }))
    } finally {
      isSaving.value = false
    }
  }

  function finish(): void {
    isArranging.value = false
    if (timer !== undefined) void save()
  }

  onScopeDispose(() => {
    if (timer !== undefined) void save()
  })

  return { isArranging, isSaving, said, arranged, move, finish }
}
