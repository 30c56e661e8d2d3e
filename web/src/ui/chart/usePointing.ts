// Points at steps of a chart and marks spans of them, by pointer, finger or keyboard.
import { computed, ref, type Ref } from 'vue'
import { spanOfSteps, stepAt } from './geometry'

export interface Steps {
  begins: readonly number[]
  stepMs: number
  /** Whether marking means anything. */
  canZoom: boolean
}

/** Steps that PageUp and PageDown go. */
const FAR_STEPS = 10

export function usePointing(cursor: Ref<number | null>, current: () => Steps, zoom: (from: number, to: number) => void) {
  /** Where marking began. */
  const anchor = ref<number | null>(null)

  const step = computed(() => {
    const { begins, stepMs } = current()
    return cursor.value === null || begins.length === 0 ? null : stepAt(begins, stepMs, cursor.value)
  })
  const marked = computed(() => {
    const { begins, stepMs } = current()
    return anchor.value === null || step.value === null ? null : spanOfSteps(begins, stepMs, anchor.value, step.value)
  })

  function pointAt(wanted: number): void {
    const { begins, stepMs } = current()
    const begin = begins[Math.min(Math.max(wanted, 0), begins.length - 1)]
    if (begin !== undefined) cursor.value = begin + stepMs / 2
  }

  function leave(): void {
    anchor.value = null
    cursor.value = null
  }

  function stepUnder(event: PointerEvent): number {
    const bounds = (event.currentTarget as HTMLElement).getBoundingClientRect()
    const share = Math.min(Math.max((event.clientX - bounds.left) / Math.max(bounds.width, 1), 0), 0.999_999)
    return Math.floor(share * current().begins.length)
  }

  function finish(): void {
    const span = marked.value
    anchor.value = null
    if (span) zoom(span.from, span.to)
  }

  return {
    step,
    marked,
    leave,
    onPointerDown(event: PointerEvent): void {
      pointAt(stepUnder(event))
      // A finger that moves over the chart reads it; only a mouse or a pen marks.
      if (!current().canZoom || event.pointerType === 'touch' || event.button !== 0) return
      ;(event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)
      anchor.value = stepUnder(event)
    },
    onPointerMove(event: PointerEvent): void {
      pointAt(stepUnder(event))
    },
    onPointerUp(): void {
      if (anchor.value !== null) finish()
    },
    onPointerLeave(event: PointerEvent): void {
      if (anchor.value === null && event.pointerType !== 'touch') leave()
    },
    onKeyDown(event: KeyboardEvent): void {
      const { begins, canZoom } = current()
      const last = begins.length - 1
      const at = step.value ?? last
      const goals: Record<string, number> = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - FAR_STEPS, PageUp: at + FAR_STEPS, Home: 0, End: last }
      const goal = goals[event.key]
      if (goal !== undefined) {
        if (!event.shiftKey) anchor.value = null
        else if (canZoom) anchor.value ??= at
        pointAt(goal)
      } else if (event.key === 'Enter' && canZoom && step.value !== null) {
        anchor.value ??= step.value
        finish()
      } else if (event.key === 'Escape' && cursor.value !== null) {
        leave()
      } else return
      event.preventDefault()
      event.stopPropagation()
    },
  }
}
