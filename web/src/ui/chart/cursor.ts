// The moment that is pointed at, shared by all charts of a page.
import { inject, provide, ref, type InjectionKey, type Ref } from 'vue'

const KEY: InjectionKey<Ref<number | null>> = Symbol('moment pointed at')

/** Once by the page; its charts find it. */
export function shareCursor(): void {
  provide(KEY, ref(null))
}

export function useCursor(): Ref<number | null> {
  return inject(KEY, () => ref(null), true)
}
