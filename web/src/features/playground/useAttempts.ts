// What the request log says about a request that was just sent: its entries come within a second after its end.
import { onScopeDispose, ref, shallowRef } from 'vue'
import { fetchAttempts, type LogEntry } from '@/api/logs'

const LOOK_EVERY_MS = 400
const LOOKS_MAX = 15

export type AttemptsState = 'none' | 'looking' | 'found' | 'missing' | 'failed'

export function useAttempts(fetch: typeof fetchAttempts = fetchAttempts, wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))) {
  const attempts = shallowRef<LogEntry[]>([])
  const state = ref<AttemptsState>('none')
  const error = ref<unknown>(null)
  let running: AbortController | null = null

  function forget(): void {
    running?.abort()
    attempts.value = []
    state.value = 'none'
  }
  onScopeDispose(() => running?.abort())

  async function look(requestId: string): Promise<void> {
    forget()
    const own = (running = new AbortController())
    state.value = 'looking'
    try {
      for (let looks = 0; looks < LOOKS_MAX; looks++) {
        const found = await fetch(requestId, { signal: own.signal })
        if (own.signal.aborted) return
        attempts.value = found
        if (found.some((entry) => entry.request_type === 'final')) {
          state.value = 'found'
          return
        }
        await wait(LOOK_EVERY_MS)
        if (own.signal.aborted) return
      }
      state.value = attempts.value.length > 0 ? 'found' : 'missing'
    } catch (thrown) {
      if (own.signal.aborted) return
      error.value = thrown
      state.value = 'failed'
    }
  }

  return { attempts, state, error, look, forget }
}
