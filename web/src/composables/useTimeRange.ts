// The span of time of a page: one for everything on it, in its address.
import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { parseRange, rangeBetween, rangeQuery, refreshMsOf, type TimeRange } from './timeRange'

export function useTimeRange() {
  const route = useRoute()
  const router = useRouter()
  const range = computed(() => parseRange(route.query))

  function choose(chosen: TimeRange): void {
    // What was open belongs to the span before.
    void router.push({ query: { ...route.query, ...rangeQuery(chosen), entry: undefined } })
  }

  return {
    range,
    choose,
    /** Two ends in milliseconds, as a chart was dragged over. */
    zoom: (from: number, to: number) => {
      const zoomed = rangeBetween(from, to)
      if (zoomed) choose(zoomed)
    },
    /** How often what it shows is fetched anew; `null`: it is over. */
    everyMs: computed(() => refreshMsOf(range.value)),
    /** Whether figures of the span before are drawn, too. */
    isCompared: computed({
      get: () => route.query.compare === '1',
      set: (value) => void router.replace({ query: { ...route.query, compare: value ? '1' : undefined } }),
    }),
  }
}
