// Starts the console: language first, so that nothing is shown in another one.
import './styles/main.css'
import { PiniaColada } from '@pinia/colada'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { allTexts, firstLanguage, i18n, showLanguage } from './locales'
import { router } from './router'

/** Answers younger than this are shown again without being fetched again. */
const FRESH_MS = 5_000
/** The first view has fetched what it shows by then. */
const REST_AFTER_MS = 500

await showLanguage(firstLanguage())
createApp(App)
  .use(createPinia())
  .use(PiniaColada, { queryOptions: { staleTime: FRESH_MS, refetchOnWindowFocus: true, refetchOnReconnect: true } })
  .use(i18n)
  .use(router)
  .mount('#app')

// While the first view is looked at, the texts of the others come, and what must be there when the server is away: the question
// before unsaved input is left, and the log-in that saves it. Where they do not come, they are asked for again when they are needed.
void router.isReady().then(() => setTimeout(() => void Promise.allSettled([allTexts(), import('./ui/UiConfirm.vue'), import('./features/login/SignInAgain.vue')]), REST_AFTER_MS))
