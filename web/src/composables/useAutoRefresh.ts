// Whether panes fetch anew by themselves: one choice for the whole console, remembered on this browser.
import { readonly, ref } from 'vue'

const STORED_AS = 'gpt-load.auto-refresh'

const isPaused = ref(stored())

export function useAutoRefresh() {
  return { isPaused: readonly(isPaused), pause: () => choose(true), resume: () => choose(false) }
}

function choose(paused: boolean): void {
  isPaused.value = paused
  try {
    if (paused) localStorage.setItem(STORED_AS, 'paused')
    else localStorage.removeItem(STORED_AS)
  } catch {
    // No storage: the choice lasts as long as the page.
  }
}

function stored(): boolean {
  try {
    return localStorage.getItem(STORED_AS) === 'paused'
  } catch {
    return false
  }
}
