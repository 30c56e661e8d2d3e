// How the console is built, served while one works on it, and tested.
import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { compressed } from './scripts/compressed.ts'

// A running gpt-load, for `npm run dev`.
const server = process.env.GPT_LOAD_URL ?? 'http://localhost:3001'

export default defineConfig({
  plugins: [vue(), tailwindcss(), compressed()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
    // Ours is in src/locales/messages.ts.
    __INTLIFY_DROP_MESSAGE_COMPILER__: true,
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: 'es2022',
    // A style sheet or script inside an address would need a weaker policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // For scripts/measure-first-load.mjs.
    manifest: true,
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // Changes seldom, so browsers keep it over our releases.
            { name: 'base', test: /node_modules[\\/](@vue|vue|vue-router|pinia|@pinia|vue-i18n|@intlify|openapi-fetch)[\\/]/, priority: 2 },
            // What most pages use: one file instead of forty.
            { name: 'parts', test: /src[\\/](ui|composables|api)[\\/]|@lucide/, minShareCount: 6, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    proxy: Object.fromEntries(['/api', '/proxy', '/health', '/ready', '/metrics'].map((path) => [path, { target: server }])),
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
})
