// The one tooltip of the page: what it says, at which element. UiTooltip asks for it, UiTooltipLayer shows it. A table of a
// thousand buttons has a thousand names and one tooltip.
import { shallowReadonly, shallowRef } from 'vue'

export interface Tooltip {
  anchor: HTMLElement
  text: string
  /** Of a shortcut that does the same. */
  keys?: string
}

/** The pointer rests so long before it comes; right after another one it comes at once. */
const SHOW_AFTER_MS = 400
const STILL_WARM_MS = 300
/** Time to move the pointer onto it: what it says can be read and selected there. */
const HIDE_AFTER_MS = 120

const tooltip = shallowRef<Tooltip | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined
let hiddenAt = Number.NEGATIVE_INFINITY

export function useTooltip() {
  return { tooltip: shallowReadonly(tooltip), show, showSoon, hide, hideSoon, keep }
}

function show(wanted: Tooltip): void {
  clearTimeout(timer)
  tooltip.value = wanted
}

function showSoon(wanted: Tooltip): void {
  clearTimeout(timer)
  if (tooltip.value || performance.now() - hiddenAt < STILL_WARM_MS) show(wanted)
  else timer = setTimeout(show, SHOW_AFTER_MS, wanted)
}

/** Of this element, or whatever is shown. */
function hide(anchor?: HTMLElement): void {
  clearTimeout(timer)
  if (!tooltip.value || (anchor && tooltip.value.anchor !== anchor)) return
  tooltip.value = null
  hiddenAt = performance.now()
}

function hideSoon(): void {
  clearTimeout(timer)
  timer = setTimeout(hide, HIDE_AFTER_MS)
}

function keep(): void {
  clearTimeout(timer)
}
