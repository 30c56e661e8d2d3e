// Short messages at the edge of the window: that something was done, with a way back where there is one. Never for a lost connection.
import { readonly, shallowReactive } from 'vue'

export interface Toast {
  id: number
  tone: 'good' | 'critical' | 'neutral'
  text: string
  action?: { text: string; run: () => void }
}

/** So long a message stays, and one that says that something failed. */
const STAY_MS = 5_000
const PROBLEM_STAY_MS = 12_000
/** With a way back, so long it can be gone. */
const UNDO_STAY_MS = 10_000

const toasts = shallowReactive<Toast[]>([])
let lastId = 0

function show(toast: Omit<Toast, 'id'>, stayMs: number): void {
  // The same text again is the same message.
  const same = toasts.findIndex(({ text }) => text === toast.text)
  if (same >= 0) toasts.splice(same, 1)
  const id = ++lastId
  toasts.push({ ...toast, id })
  setTimeout(() => dismiss(id), stayMs)
}

function dismiss(id: number): void {
  const index = toasts.findIndex((toast) => toast.id === id)
  if (index >= 0) toasts.splice(index, 1)
}

export function useToasts() {
  return {
    toasts: readonly(toasts) as readonly Toast[],
    dismiss,
    done: (text: string, action?: Toast['action']) => show({ tone: 'good', text, action }, action ? UNDO_STAY_MS : STAY_MS),
    note: (text: string, action?: Toast['action']) => show({ tone: 'neutral', text, action }, STAY_MS),
    problem: (text: string) => show({ tone: 'critical', text }, PROBLEM_STAY_MS),
  }
}
