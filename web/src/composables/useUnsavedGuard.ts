// No input is lost: whoever leaves a form that was changed is asked first, whichever way he goes.
import { onScopeDispose, shallowReactive, toValue, watchEffect, type MaybeRefOrGetter } from 'vue'
import { onBeforeRouteLeave, onBeforeRouteUpdate } from 'vue-router'
import { useI18n } from 'vue-i18n'
import { useConfirm } from '@/ui/confirm'

const guards = shallowReactive(new Set<MaybeRefOrGetter<boolean>>())

/** Whether something on the page would be lost with it. */
export function hasUnsavedInput(): boolean {
  return [...guards].some((isChanged) => toValue(isChanged))
}

/**
 * Guards a page as long as `isChanged`. For dialogs call `mayLeave` before closing.
 *
 * @param sharesPath says whether a change of address on the same page (a tab, a filter) loses the input; it does unless told.
 */
export function useUnsavedGuard(isChanged: MaybeRefOrGetter<boolean>, sharesPath = false) {
  const { confirm } = useConfirm()
  const { t } = useI18n()

  async function mayLeave(): Promise<boolean> {
    if (!toValue(isChanged)) return true
    return confirm({
      title: t('common.unsaved.title'),
      text: t('common.unsaved.text'),
      action: t('common.unsaved.discard'),
      isDangerous: true,
    })
  }

  onBeforeRouteLeave(mayLeave)
  onBeforeRouteUpdate((to, from) => (sharesPath || to.path === from.path ? true : mayLeave()))

  const beforeUnload = (event: BeforeUnloadEvent) => event.preventDefault()
  watchEffect((onCleanup) => {
    if (!toValue(isChanged)) return
    window.addEventListener('beforeunload', beforeUnload)
    onCleanup(() => window.removeEventListener('beforeunload', beforeUnload))
  })
  guards.add(isChanged)
  onScopeDispose(() => {
    guards.delete(isChanged)
    window.removeEventListener('beforeunload', beforeUnload)
  })

  return { mayLeave }
}
