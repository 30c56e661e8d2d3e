// The server is stopped and started again while the console is open.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { openHouse, type House } from './harness/house'
import { text } from './harness/texts'
import { Visit, openBrowser } from './harness/visit'
import { eventually } from './harness/wait'

let browser: Browser
let house: House

beforeEach(async () => {
  ;[browser, house] = await Promise.all([openBrowser(), openHouse()])
})

afterEach(async () => {
  await browser.close()
  await house.close()
})

test('a server that goes and comes back costs a banner, and nothing else', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  const banner = page.getByText(text('frame.connection_lost'))
  await visit.goTo('/groups')
  const old = page.getByText('OpenAI, main account').filter({ visible: true }).first()
  await old.waitFor()

  await house.gateway.stop('SIGKILL')
  visit.expect(/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE/)
  await banner.waitFor({ timeout: 60_000 })
  // Several polls in vain: still one banner, no message for each, and what was there is there.
  let looks = 0
  page.on('requestfailed', (request) => request.url().endsWith('/health') && looks++)
  await eventually('the console looks again and again', () => looks >= 2)
  expect(await banner.count()).toBe(1)
  expect(await page.getByRole('button', { name: text('common.dismiss') }).count()).toBe(0)
  expect(await old.isVisible()).toBe(true)
  await visit.screenshot('outage')

  await house.gateway.startAgain()
  await house.gateway.createGroup('born-meanwhile', house.upstream.url)
  await banner.waitFor({ state: 'detached', timeout: 30_000 })
  await page.getByText('born-meanwhile').filter({ visible: true }).first().waitFor({ timeout: 30_000 })
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})

test('what was typed outlives an outage, and can be saved after it', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  const banner = page.getByText(text('frame.connection_lost'))
  await visit.goTo(`/groups/${house.groups.gemini.id}/settings`)
  const field = page.getByRole('textbox').first()
  const typed = 'gemini-typed-during-an-outage'
  await house.gateway.stop()
  visit.expect(/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|503/)
  await field.fill(typed)
  await banner.waitFor({ timeout: 60_000 })
  expect(await field.inputValue()).toBe(typed)
  await house.gateway.startAgain()
  await banner.waitFor({ state: 'detached', timeout: 30_000 })
  await visit.settled()
  expect(await field.inputValue()).toBe(typed)
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})
