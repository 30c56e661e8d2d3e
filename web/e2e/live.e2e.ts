// The request log followed while requests come.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { openHouse, type House } from './harness/house'
import { text } from './harness/texts'
import { Visit, openBrowser } from './harness/visit'
import { eventually } from './harness/wait'

const REQUESTS = 300
/** So many at once, each as slow as that: about as many in half a second as a screen has rows. */
const AT_ONCE = 4
const ANSWER_MS = 150
/** From the end of a request to its row; the log is written twice a second. */
const SHOWN_WITHIN_MS = 10_000

let browser: Browser
let house: House

beforeAll(async () => {
  ;[browser, house] = await Promise.all([openBrowser(), openHouse()])
})

afterAll(async () => {
  await browser.close()
  await house.close()
})

test('the log is followed live under load', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  await visit.goTo('/logs')
  const live = page.getByRole('switch', { name: text('logs.live.title') })
  if ((await live.getAttribute('aria-checked')) !== 'true') await live.click()
  await page.getByText(text('logs.live.running')).waitFor()
  const grid = page.getByRole('grid')
  const rowCount = () => grid.getAttribute('aria-rowcount').then(Number)
  const before = await rowCount()

  await house.upstream.playAny({ delay_milliseconds: ANSWER_MS })
  let sent = 0
  const ask = (model: string) => house.gateway.ask('openai/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }] })
  const load = Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (sent++ < REQUESTS) await ask('mock-small')
    }),
  )
  // Among the many: one that can be told from them, seen while the others still come.
  await ask('mock-among-many')
  const asked = Date.now()
  await grid.getByText('mock-among-many').first().waitFor({ timeout: SHOWN_WITHIN_MS })
  console.log(`a request is in the list after ${Date.now() - asked} ms`)
  await load
  await ask('mock-the-last')
  await grid.getByText('mock-the-last').first().waitFor({ timeout: SHOWN_WITHIN_MS })
  await eventually('all of them are in the list', async () => (await rowCount()) >= before + REQUESTS)
  // However long the list is, few rows are drawn.
  expect(await grid.getByRole('row').count()).toBeLessThan(200)
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})
