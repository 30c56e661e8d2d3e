// Whether the server answers: one state for the whole console, shown by one banner, instead of a message for every request.
import { useQueryCache } from '@pinia/colada'
import { onScopeDispose, readonly, ref, watch } from 'vue'

/** Between two looks whether the server is back; doubled after each look in vain, up to the second figure. */
const FIRST_LOOK_MS = 1_000
const LOOK_MAX_MS = 15_000

const isLost = ref(false)
const lostSince = ref<number | null>(null)

export function reportUnreachable(): void {
  if (isLost.value) return
  isLost.value = true
  lostSince.value = Date.now()
}

export function reportReached(): void {
  isLost.value = false
  lostSince.value = null
}

export function useConnection() {
  return { isLost: readonly(isLost), lostSince: readonly(lostSince) }
}

/** Looks whether a lost server is back, and then fetches anew what is shown. Once, by the frame of the console. */
export function useReconnection(look: () => Promise<boolean> = isAlive): void {
  const cache = useQueryCache()
  let timer: ReturnType<typeof setTimeout> | undefined
  function lookAgain(afterMs: number): void {
    timer = setTimeout(async () => {
      if (await look()) reportReached()
      else if (isLost.value) lookAgain(Math.min(afterMs * 2, LOOK_MAX_MS))
    }, afterMs)
  }
  watch(isLost, (lost, before) => {
    clearTimeout(timer)
    if (lost) lookAgain(FIRST_LOOK_MS)
    else if (before) void cache.invalidateQueries()
  })
  onScopeDispose(() => clearTimeout(timer))
}

async function isAlive(): Promise<boolean> {
  try {
    const response = await fetch('/health', { cache: 'no-store' })
    return response.ok
  } catch {
    return false
  }
}
