// Whether the window is as a media query says, as long as a component is there.
import { onScopeDispose, readonly, ref, type Ref } from 'vue'

export function useMediaQuery(text: string): Readonly<Ref<boolean>> {
  const query = window.matchMedia(text)
  const matches = ref(query.matches)
  const change = () => (matches.value = query.matches)
  query.addEventListener('change', change)
  onScopeDispose(() => query.removeEventListener('change', change))
  return readonly(matches)
}
