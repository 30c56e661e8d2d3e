// Signing in: what came of the last try, and how long none is taken after too many.
import { computed, ref } from 'vue'
import { ApiError } from '@/api/client'
import { openSession } from '@/api/session'
import { useNow } from '@/composables/useNow'

export type LoginProblem = 'empty' | 'wrong' | 'locked' | 'unlocked' | 'unreachable' | 'other'

/** Where the server does not say how long. */
const LOCKED_DEFAULT_SECONDS = 30

export function useLogin(open: typeof openSession = openSession) {
  const now = useNow()
  const isBusy = ref(false)
  const problem = ref<LoginProblem | null>(null)
  const error = ref<unknown>(null)
  const lockedUntil = ref<number | null>(null)

  const lockedSeconds = computed(() => (lockedUntil.value === null ? 0 : Math.max(Math.ceil((lockedUntil.value - now.value) / 1000), 0)))
  const isLocked = computed(() => lockedSeconds.value > 0)
  /** The lock that is over is told too: he who waited need not guess. */
  const shownProblem = computed<LoginProblem | null>(() => (problem.value === 'locked' && !isLocked.value ? 'unlocked' : problem.value))

  async function signIn(key: string, remember: boolean): Promise<boolean> {
    if (isBusy.value || isLocked.value) return false
    if (key.trim() === '') {
      problem.value = 'empty'
      return false
    }
    isBusy.value = true
    try {
      await open(key.trim(), remember)
      problem.value = null
      return true
    } catch (thrown) {
      error.value = thrown
      problem.value = problemOf(thrown)
      if (problem.value === 'locked') lockedUntil.value = Date.now() + ((thrown as ApiError).retryAfterSeconds ?? LOCKED_DEFAULT_SECONDS) * 1000
      return false
    } finally {
      isBusy.value = false
    }
  }

  function clear(): void {
    if (!isLocked.value) problem.value = null
  }

  return { isBusy, isLocked, lockedSeconds, problem: shownProblem, error, signIn, clear }
}

function problemOf(thrown: unknown): LoginProblem {
  if (!(thrown instanceof ApiError)) return 'other'
  if (thrown.isUnreachable) return 'unreachable'
  if (thrown.status === 401) return 'wrong'
  return thrown.status === 429 ? 'locked' : 'other'
}

/** 27 → 0:27, 125 → 2:05. */
export function countdown(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
