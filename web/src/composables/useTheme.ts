// Light, dark, or as the system has it; chosen per browser.
import { readonly, ref } from 'vue'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

/** public/theme.js reads it too, before the first paint. */
const STORED_AS = 'gpt-load.theme'

const theme = ref<Theme>(stored())
const darkScheme = window.matchMedia('(prefers-color-scheme: dark)')
const isDark = ref(dark())

darkScheme.addEventListener('change', () => (isDark.value = dark()))

export function useTheme() {
  return { theme: readonly(theme), isDark: readonly(isDark), chooseTheme }
}

function chooseTheme(chosen: Theme): void {
  theme.value = chosen
  if (chosen === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen
  isDark.value = dark()
  try {
    localStorage.setItem(STORED_AS, chosen)
  } catch {
    // No storage: the choice lasts as long as the page.
  }
}

function dark(): boolean {
  return theme.value === 'dark' || (theme.value === 'system' && darkScheme.matches)
}

function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(STORED_AS)) ?? 'system'
  } catch {
    return 'system'
  }
}
