// Where something that floats stands: beside its anchor, inside the window, on the side where there is more room.

const GAP_PX = 4
const MARGIN_PX = 8

export interface Place {
  left: number
  top: number
  /** What does not fit into it scrolls. */
  maxHeight: number
}

interface Box {
  left: number
  right: number
  top: number
  bottom: number
}

/** Below the anchor, or above it where that has more room for it; moved sideways rather than cut off. */
export function placeBeside(anchor: Box, size: { width: number; height: number }, window: { width: number; height: number }, align: 'start' | 'end'): Place {
  const below = window.height - anchor.bottom - GAP_PX - MARGIN_PX
  const above = anchor.top - GAP_PX - MARGIN_PX
  const isBelow = size.height <= below || below >= above
  const maxHeight = Math.max(isBelow ? below : above, 0)
  const wanted = align === 'start' ? anchor.left : anchor.right - size.width
  return {
    left: Math.max(MARGIN_PX, Math.min(wanted, window.width - size.width - MARGIN_PX)),
    top: isBelow ? anchor.bottom + GAP_PX : anchor.top - GAP_PX - Math.min(size.height, maxHeight),
    maxHeight,
  }
}
