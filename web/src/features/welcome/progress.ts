// How far somebody is with the first steps; it survives a reload of the page. Keys are never kept.

export const STEPS = ['provider', 'keys', 'test', 'client', 'request'] as const
export type Step = (typeof STEPS)[number]

export interface Progress {
  step: Step
  /** Made in the first step. */
  groupId: number | null
  /** How the proxy key that was chosen looks when it is masked; enough to find it again among those of the group. */
  clientKey: string | null
}

export const NOTHING_DONE: Progress = { step: 'provider', groupId: null, clientKey: null }

const STORED_AS = 'gpt-load.welcome'

type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export function readProgress(store: Store): Progress {
  try {
    const stored = JSON.parse(store.getItem(STORED_AS) ?? 'null') as Partial<Progress> | null
    const groupId = typeof stored?.groupId === 'number' ? stored.groupId : null
    const step = STEPS.find((step) => step === stored?.step) ?? 'provider'
    // Without a group there is nothing to go on with.
    if (groupId === null) return { ...NOTHING_DONE }
    return { step, groupId, clientKey: typeof stored?.clientKey === 'string' ? stored.clientKey : null }
  } catch {
    return { ...NOTHING_DONE }
  }
}

export function writeProgress(store: Store, progress: Progress): void {
  try {
    store.setItem(STORED_AS, JSON.stringify({ step: progress.step, groupId: progress.groupId, clientKey: progress.clientKey } satisfies Progress))
  } catch {
    // No storage: a reload begins anew.
  }
}

export function forgetProgress(store: Store): void {
  try {
    store.removeItem(STORED_AS)
  } catch {
    // No storage, nothing to forget.
  }
}
