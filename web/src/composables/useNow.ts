// The time as it passes, for ages and countdowns. One clock for all that show it; it stands still in a hidden tab.
import { onScopeDispose, readonly, ref } from 'vue'

const TICK_MS = 1_000

const now = ref(Date.now())
let watchers = 0
let timer: ReturnType<typeof setInterval> | undefined

function tick(): void {
  if (!document.hidden) now.value = Date.now()
}

export function useNow() {
  if (watchers++ === 0) {
    now.value = Date.now()
    timer = setInterval(tick, TICK_MS)
    document.addEventListener('visibilitychange', tick)
  }
  onScopeDispose(() => {
    if (--watchers === 0) {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', tick)
    }
  })
  return readonly(now)
}
