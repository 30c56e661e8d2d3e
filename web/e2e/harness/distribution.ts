// A look at a console that was built after the binary: CONSOLE_DIST names its folder. Its files take the place of those in the
// binary, under the headers that the binary sends. For work on views; the suite as a whole looks at what is in the binary.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { BrowserContext } from 'playwright-core'

const OF_THE_SERVER = /^\/(api|proxy|health|ready|metrics)(\/|$)/

export async function showDistribution(context: BrowserContext, gateway: string): Promise<void> {
  if (!process.env.CONSOLE_DIST) return
  const folder = resolve(process.env.CONSOLE_DIST)
  await context.route(
    ({ pathname }) => !OF_THE_SERVER.test(pathname),
    async (route) => {
      const file = join(folder, new URL(route.request().url()).pathname)
      if (route.request().isNavigationRequest()) await route.fulfill({ response: await route.fetch({ url: gateway }), path: join(folder, 'index.html') }).catch(() => route.abort())
      else if (existsSync(file)) await route.fulfill({ path: file })
      else await route.continue()
    },
  )
}
