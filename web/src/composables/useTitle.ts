// The document's title: of what is on the page, then the product.
import { toValue, watchEffect, type MaybeRefOrGetter } from 'vue'

export function useTitle(title: MaybeRefOrGetter<string | null | undefined>): void {
  watchEffect(() => {
    const text = toValue(title)
    document.title = text ? `${text} · GPT-Load` : 'GPT-Load'
  })
}
