// Keys that do something, each with its text for the list that `?` shows. They rest while somebody types or a dialog is open.
import { onScopeDispose, shallowReactive, type MaybeRefOrGetter, toValue } from 'vue'

export interface Shortcut {
  /** What is pressed: `j`, `?`, `Shift+J`, `Mod+K` (Ctrl, or ⌘ on a Mac), or two keys one after the other: `g d`. */
  keys: string
  /** What it does, for the list. */
  text: MaybeRefOrGetter<string>
  /** Under which heading it is listed. */
  section: MaybeRefOrGetter<string>
  run: (event: KeyboardEvent) => void
  /** Also while somebody types or a dialog is open: for `Mod+…`. */
  isEverywhere?: boolean
  isEnabled?: MaybeRefOrGetter<boolean>
}

/** The second key of a pair follows within this time. */
const PAIR_MS = 1_200

const shortcuts = shallowReactive(new Set<Shortcut>())
let first: { key: string; at: number } | null = null

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform)

/** Those of this component, as long as it is there. */
export function useShortcuts(own: Shortcut[]): void {
  for (const shortcut of own) shortcuts.add(shortcut)
  onScopeDispose(() => {
    for (const shortcut of own) shortcuts.delete(shortcut)
  })
}

export function allShortcuts(): Shortcut[] {
  return [...shortcuts].filter((shortcut) => toValue(shortcut.isEnabled) ?? true)
}

/** The name of what was pressed, as shortcuts spell it. */
export function keyOf(event: KeyboardEvent): string {
  const isModified = isMac ? event.metaKey : event.ctrlKey
  const key = event.key.length === 1 ? (event.shiftKey || isModified ? event.key.toUpperCase() : event.key) : event.key
  // A sign that needs Shift on some keyboards is that sign on all of them.
  const withShift = event.shiftKey && /^[A-Z]$|^.{2,}/.test(key) ? 'Shift+' : ''
  return `${isModified ? 'Mod+' : ''}${withShift}${key}`
}

export function handleKey(event: KeyboardEvent, now = Date.now()): void {
  if (event.defaultPrevented || event.isComposing || event.altKey) return
  const key = keyOf(event)
  const isBusy = isTyping(event.target) || document.querySelector('[role="dialog"][data-state="open"]:not([data-shortcuts])') !== null
  const pair = first && now - first.at < PAIR_MS ? `${first.key} ${key}` : null
  first = null
  // Those that came last stand closest to what is being done.
  const candidates = [...shortcuts].reverse().filter((shortcut) => (toValue(shortcut.isEnabled) ?? true) && (!isBusy || shortcut.isEverywhere))
  const match = candidates.find((shortcut) => shortcut.keys === pair) ?? candidates.find((shortcut) => shortcut.keys === key)
  if (match) {
    event.preventDefault()
    match.run(event)
  } else if (!isBusy && candidates.some((shortcut) => shortcut.keys.startsWith(`${key} `))) {
    first = { key, at: now }
  }
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'submit', 'range'].includes(target.type)
}
