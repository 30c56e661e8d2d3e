// Starts the console: language first, so that nothing is shown in another one.
import './styles/main.css'
import { PiniaColada } from '@pinia/colada'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { firstLanguage, i18n, showLanguage } from './locales'
import { router } from './router'

/** Answers younger than this are shown again without being fetched again. */
const FRESH_MS = 5_000

await showLanguage(firstLanguage())
createApp(App)
  .use(createPinia())
  .use(PiniaColada, { queryOptions: { staleTime: FRESH_MS, refetchOnWindowFocus: true, refetchOnReconnect: true } })
  .use(i18n)
  .use(router)
  .mount('#app')
