// Where the reader is in a long table: in the table's own scroll area on wide windows, on the page's on phones.
import { onBeforeUnmount, onMounted, ref, type Ref } from 'vue'

/** At least so much of a table is seen, however much stands above it. */
const HEIGHT_MIN_PX = 320
/** Left free below it. */
const MARGIN_PX = 16

/** Below the breakpoint `md`, in Tailwind's words. */
const PHONE = '(width < 48rem)'

export function useIsPhone(): Readonly<Ref<boolean>> {
  const query = window.matchMedia(PHONE)
  const isPhone = ref(query.matches)
  const change = () => (isPhone.value = query.matches)
  onMounted(() => query.addEventListener('change', change))
  onBeforeUnmount(() => query.removeEventListener('change', change))
  return isPhone
}

/**
 * @param scroller the table's own scroll area.
 * @param body holds the rows, in their full height.
 * @param headHeightPx of what stays above the rows while they scroll.
 */
export function useViewport(scroller: Readonly<Ref<HTMLElement | null>>, body: Readonly<Ref<HTMLElement | null>>, isPhone: Readonly<Ref<boolean>>, headHeightPx: () => number) {
  const scrolledPx = ref(0)
  const heightPx = ref(0)
  /** So that the table ends where the window does. */
  const heightMaxPx = ref(HEIGHT_MIN_PX)

  function measure(): void {
    if (!scroller.value || !body.value) return
    const top = scroller.value.getBoundingClientRect().top + window.scrollY
    heightMaxPx.value = Math.max(Math.floor(window.innerHeight - top - MARGIN_PX), HEIGHT_MIN_PX)
    heightPx.value = isPhone.value ? window.innerHeight : Math.max(heightMaxPx.value - headHeightPx(), 0)
    follow()
  }

  function follow(): void {
    if (isPhone.value) scrolledPx.value = Math.max(-(body.value?.getBoundingClientRect().top ?? 0), 0)
    else scrolledPx.value = scroller.value?.scrollTop ?? 0
  }

  function scrollTo(px: number): void {
    if (px === scrolledPx.value) return
    if (isPhone.value) {
      const top = (body.value?.getBoundingClientRect().top ?? 0) + window.scrollY
      // The bar at the top covers what is right below it.
      const covered = px < scrolledPx.value ? 64 : 0
      window.scrollTo({ top: top + px - covered })
    } else if (scroller.value) {
      scroller.value.scrollTop = px
    }
    follow()
  }

  let observer: ResizeObserver | undefined
  onMounted(() => {
    observer = new ResizeObserver(measure)
    // What stands above the table may grow and shrink at any time.
    observer.observe(document.body)
    window.addEventListener('resize', measure)
    window.addEventListener('scroll', follow, { passive: true })
    scroller.value?.addEventListener('scroll', follow, { passive: true })
    measure()
  })
  onBeforeUnmount(() => {
    observer?.disconnect()
    window.removeEventListener('resize', measure)
    window.removeEventListener('scroll', follow)
  })

  return { scrolledPx, heightPx, heightMaxPx, scrollTo, measure }
}
