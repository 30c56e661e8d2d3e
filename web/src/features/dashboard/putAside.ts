// Which security warnings somebody has put aside in this browser. Those that are new are shown; all can be brought back.
import { computed, ref, type ComputedRef, type Ref } from 'vue'
import type { SecurityWarning } from '@/api/dashboard'

const STORED_AS = 'gpt-load.warnings-put-aside'

/** What tells one warning from another: which secret, and what is wrong with it. */
export function identityOf({ type, severity, message }: SecurityWarning): string {
  return [severity, type, message].join('|')
}

export function usePutAside(warnings: Ref<readonly SecurityWarning[] | undefined>): {
  shown: ComputedRef<SecurityWarning[]>
  aside: ComputedRef<SecurityWarning[]>
  putAside: () => void
  bringBack: () => void
} {
  const known = ref(read())
  const isAside = (warning: SecurityWarning) => known.value.has(identityOf(warning))

  function remember(identities: Iterable<string>): void {
    known.value = new Set(identities)
    try {
      localStorage.setItem(STORED_AS, JSON.stringify([...known.value]))
    } catch {
      // No storage: it lasts as long as the page.
    }
  }

  return {
    shown: computed(() => (warnings.value ?? []).filter((warning) => !isAside(warning))),
    aside: computed(() => (warnings.value ?? []).filter(isAside)),
    /** All that are there now; what is mended meanwhile is forgotten, so that it is shown if it comes back. */
    putAside: () => remember((warnings.value ?? []).map(identityOf)),
    bringBack: () => remember([]),
  }
}

function read(): Set<string> {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED_AS) ?? '[]')
    return new Set(Array.isArray(stored) ? stored.filter((item) => typeof item === 'string') : [])
  } catch {
    return new Set()
  }
}
