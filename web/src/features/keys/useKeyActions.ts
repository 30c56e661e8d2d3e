// What can be done with one key: shown in clear, copied, tested, taken out and put back. Results of tests stay as long as the page.
import { useQueryCache } from '@pinia/colada'
import { inject, onScopeDispose, provide, shallowReactive, type InjectionKey } from 'vue'
import { useI18n } from 'vue-i18n'
import { fetchKey, revealKey, setKeyNotes, startBulk, testKey, type Key, type KeyTest } from '@/api/keys'
import { useCopy } from '@/composables/useCopy'
import { useErrorText } from '@/composables/useErrorText'
import { waitForTask } from '@/features/tasks/waitForTask'
import { useToasts } from '@/ui/toasts'

/** So long a key stays in clear on the screen. */
const REVEALED_MS = 60_000

export type OneKeyAction = 'enable' | 'disable' | 'restore' | 'delete'

/** What undoes it at once; a deletion has none, so it is asked about first. */
const WAYS_BACK: Partial<Record<OneKeyAction, OneKeyAction>> = { enable: 'disable', disable: 'enable' }

export interface DoneTest extends KeyTest {
  at: number
}

export interface KeyActions {
  readonly revealed: ReadonlyMap<number, string>
  readonly tests: ReadonlyMap<number, DoneTest | 'running' | { error: unknown }>
  toggleRevealed(key: Key): Promise<void>
  copy(key: Key): Promise<boolean>
  test(key: Key): Promise<void>
  /** Answers whether it was saved. */
  saveNotes(key: Key, notes: string): Promise<boolean>
  /** One key, by the same way as many. Answers whether it was done. */
  act(key: Key, action: OneKeyAction): Promise<boolean>
}

const KEY_ACTIONS: InjectionKey<KeyActions> = Symbol('actions on keys')

export function useKeyActions(): KeyActions {
  const actions = inject(KEY_ACTIONS)
  if (!actions) throw new Error('useKeyActions is for what stands below a page that provides them')
  return actions
}

/** @param changed is told a key as it is after something was done to it. */
export function provideKeyActions(changed: (key: Pick<Key, 'id'> & Partial<Key>) => void): KeyActions {
  const { t } = useI18n()
  const toasts = useToasts()
  const errorText = useErrorText()
  const cache = useQueryCache()
  const { copy } = useCopy()
  const revealed = shallowReactive(new Map<number, string>())
  const tests = shallowReactive(new Map<number, DoneTest | 'running' | { error: unknown }>())
  const timers = new Map<number, ReturnType<typeof setTimeout>>()

  /** A query that fails, or that another one overtakes, says so where it is shown. */
  const renew = (what: 'keys' | 'groups') => Promise.allSettled([cache.invalidateQueries({ key: [what] })])

  function hide(id: number): void {
    clearTimeout(timers.get(id))
    timers.delete(id)
    revealed.delete(id)
  }

  /** Tells a failure, and answers whether it went well. */
  async function told(run: () => Promise<unknown>): Promise<boolean> {
    try {
      await run()
      return true
    } catch (error) {
      toasts.problem(errorText(error))
      return false
    }
  }

  const actions: KeyActions = {
    revealed,
    tests,
    async toggleRevealed(key) {
      if (revealed.has(key.id)) return hide(key.id)
      await told(async () => {
        revealed.set(key.id, await revealKey(key.id))
        timers.set(key.id, setTimeout(() => hide(key.id), REVEALED_MS))
      })
    },
    async copy(key) {
      let isCopied = false
      await told(async () => (isCopied = await copy(revealed.get(key.id) ?? (await revealKey(key.id)))))
      return isCopied
    },
    async test(key) {
      if (tests.get(key.id) === 'running') return
      tests.set(key.id, 'running')
      try {
        const result = await testKey(key.id)
        tests.set(key.id, { ...result, at: Date.now() })
        changed(result.key)
        void renew('groups')
      } catch (error) {
        tests.set(key.id, { error })
      }
    },
    saveNotes: (key, notes) =>
      told(async () => {
        await setKeyNotes(key.id, notes)
        changed({ id: key.id, notes })
      }),
    act: (key, action) =>
      told(async () => {
        const task = await waitForTask(await startBulk(key.group_id, { ids: [key.id] }, { action }))
        if (task.error) throw new Error(task.error)
        if (action === 'delete') await renew('keys')
        else changed(await fetchKey(key.id))
        void renew('groups')
        const back = WAYS_BACK[action]
        toasts.done(t(`keys.done.${action}`), back && { text: t('keys.undo'), run: () => void actions.act(key, back) })
      }),
  }
  onScopeDispose(() => timers.forEach(clearTimeout))
  provide(KEY_ACTIONS, actions)
  return actions
}
