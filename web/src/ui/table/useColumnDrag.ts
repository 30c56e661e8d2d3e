// The width of a column by dragging its right edge.
import { onScopeDispose } from 'vue'

export function useColumnDrag(change: (id: string, widthPx: number) => void) {
  let stop: () => void = () => {}

  function startDrag(event: PointerEvent, id: string): void {
    const head = (event.currentTarget as HTMLElement).parentElement
    if (!head || event.button !== 0) return
    event.preventDefault()
    const handle = event.currentTarget as HTMLElement
    const widthPx = head.getBoundingClientRect().width
    const fromPx = event.clientX
    const move = (moved: PointerEvent) => change(id, widthPx + moved.clientX - fromPx)
    stop()
    handle.setPointerCapture(event.pointerId)
    handle.addEventListener('pointermove', move)
    stop = () => handle.removeEventListener('pointermove', move)
    handle.addEventListener('lostpointercapture', stop, { once: true })
  }

  onScopeDispose(() => stop())
  return { startDrag }
}
