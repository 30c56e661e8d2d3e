// From an empty database to a first answered request.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { openEmptyHouse, type House } from './harness/house'
import { text } from './harness/texts'
import { Visit, openBrowser } from './harness/visit'

let browser: Browser
let house: Pick<House, 'gateway' | 'upstream' | 'close'>

beforeAll(async () => {
  ;[browser, house] = await Promise.all([openBrowser(), openEmptyHouse()])
})

afterAll(async () => {
  await browser.close()
  await house.close()
})

test('the guide leads from nothing to a first answer', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  const press = (key: string) => page.getByRole('button', { name: text(key) }).first().click()
  await visit.goTo('/groups')
  await page.getByRole('link', { name: text('groups.empty.guide') }).click()
  await page.waitForURL(/\/welcome$/)
  await visit.settled()

  await page.getByRole('textbox', { name: text('welcome.provider.url') }).fill(house.upstream.url)
  await page.getByRole('textbox', { name: text('group_form.tests.model') }).fill('mock-small')
  await press('welcome.provider.create')

  // One of them does not work, and the guide says so.
  await house.upstream.play('sk-bad-of-a-test', { status: 401 })
  await page.getByRole('textbox', { name: text('welcome.keys.label') }).fill('sk-first-of-a-test\nsk-bad-of-a-test\nsk-first-of-a-test')
  await page.getByRole('button', { name: `${text('welcome.keys.import')} 2` }).click()

  await press('welcome.test.start')
  await page.getByText(text('welcome.test.good')).waitFor()
  await page.getByText(/401/).first().waitFor()
  await press('welcome.continue')

  const made = await page.getByText(/^sk-/).first().textContent()
  await press('welcome.client.save')
  await press('welcome.request.send')
  await page.getByText(text('welcome.request.answered')).waitFor()
  await page.getByText(text('welcome.request.logged')).waitFor()
  expect(await visit.overflow()).toEqual([])
  expect(await visit.violations()).toEqual([])

  // What the guide made works for programs.
  const [group] = await house.gateway.manage<{ id: number; name: string; proxy_keys: string }[]>('GET', '/api/groups')
  expect(group?.proxy_keys).toBe(made)
  await press('welcome.request.finish')
  await visit.settled()
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
}, 120_000)
