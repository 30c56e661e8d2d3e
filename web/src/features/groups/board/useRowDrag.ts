// Drags a row of a list to another place, by mouse, pen or finger; rows carry `data-row-id`.
import { onScopeDispose, ref } from 'vue'

/** This close to the edge of the window the page scrolls along. */
const EDGE_PX = 72
const SCROLL_PX = 14

export function useRowDrag(list: () => HTMLElement | null, move: (id: number, to: number) => void) {
  const dragged = ref<number | null>(null)

  // At the window, not at the row: that one is taken out and put in again while it moves.
  function follow(event: PointerEvent): void {
    if (dragged.value === null) return
    event.preventDefault()
    if (event.clientY < EDGE_PX) window.scrollBy({ top: -SCROLL_PX })
    else if (event.clientY > window.innerHeight - EDGE_PX) window.scrollBy({ top: SCROLL_PX })
    const others = [...(list()?.querySelectorAll<HTMLElement>('[data-row-id]') ?? [])].filter((row) => row.dataset.rowId !== String(dragged.value))
    const above = others.filter((row) => {
      const { top, height } = row.getBoundingClientRect()
      return top + height / 2 < event.clientY
    })
    move(dragged.value, above.length)
  }

  function end(): void {
    dragged.value = null
    window.removeEventListener('pointermove', follow)
    window.removeEventListener('pointerup', end)
    window.removeEventListener('pointercancel', end)
  }

  function begin(event: PointerEvent, id: number): void {
    if (event.button !== 0) return
    event.preventDefault()
    dragged.value = id
    window.addEventListener('pointermove', follow)
    window.addEventListener('pointerup', end)
    window.addEventListener('pointercancel', end)
  }

  onScopeDispose(end)
  return { dragged, begin }
}
