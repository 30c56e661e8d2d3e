// Ways through the console: back and forward, answers that come late, forms that are left, texts that are copied.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { openHouse, type House } from './harness/house'
import { text } from './harness/texts'
import { INSECURE_NAME, Visit, openBrowser } from './harness/visit'
import { eventually } from './harness/wait'

let browser: Browser
let house: House

beforeAll(async () => {
  ;[browser, house] = await Promise.all([openBrowser(), openHouse()])
})

afterAll(async () => {
  await browser.close()
  await house.close()
})

const title = (page: Page) => page.locator('#page-title')
const rowCount = (page: Page) => page.getByRole('grid').getAttribute('aria-rowcount').then(Number)

test('back and forward show what their address says', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  const { openai, gemini } = house.groups
  await visit.goTo(`/groups/${openai.id}/keys`)
  await eventually('all keys of the first group', async () => (await rowCount(page)) === 13)
  await page.getByRole('radio', { name: new RegExp(text('keys.states.invalid')) }).click()
  await eventually('the one that was refused', async () => (await rowCount(page)) === 2)
  await page.getByRole('navigation', { name: text('frame.navigation') }).getByRole('link', { name: text('frame.sections.groups') }).click()
  await visit.settled()
  await page.getByRole('link', { name: 'Gemini' }).filter({ visible: true }).first().click()
  await page.waitForURL(new RegExp(`/groups/${gemini.id}`))
  await visit.settled()
  expect(await title(page).textContent()).toBe('Gemini')

  await page.goBack()
  await page.goBack()
  await page.waitForURL(new RegExp(`/groups/${openai.id}/keys\\?`))
  await eventually('the filter is back', async () => (await rowCount(page)) === 2)
  expect(await title(page).textContent()).toBe('OpenAI, main account')
  await page.goBack()
  await eventually('no filter', async () => (await rowCount(page)) === 13)
  await page.goForward()
  await eventually('the filter again', async () => (await rowCount(page)) === 2)
  await visit.settled()
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})

test('an answer that comes late overwrites nothing', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  await visit.goTo(`/groups/${house.groups.openai.id}/keys`)
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  let isAsked = false
  await page.route(/\/api\/keys\?.*0001/, async (route) => {
    isAsked = true
    await held
    await route.continue().catch(() => {})
  })
  const search = page.getByRole('searchbox', { name: text('keys.search') })
  await search.fill('test-0001')
  await eventually('the first search is on its way', () => isAsked)
  await search.fill('test-0002')
  await eventually('the second search is answered', async () => (await rowCount(page)) === 2)
  release()
  await visit.settled()
  expect(await page.getByRole('row').filter({ hasText: '0001' }).count()).toBe(0)
  expect(await page.getByRole('row').filter({ hasText: '0002' }).count()).toBe(1)
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})

test('a form that was changed is not left by accident', async () => {
  const visit = await Visit.open(browser, house.gateway)
  const { page } = visit
  await visit.goTo('/groups')
  await page.getByRole('link', { name: 'Claude' }).filter({ visible: true }).first().click()
  await page.waitForURL(/\/groups\/\d+/)
  const settings = `/groups/${house.groups.anthropic.id}/settings`
  await page.locator(`a[href="${settings}"]`).first().click()
  await visit.settled()
  const field = page.locator('main').getByRole('textbox').first()
  const typed = 'typed-and-not-saved'
  await field.fill(typed)
  const question = page.getByRole('dialog', { name: text('common.unsaved.title') })
  const ways = [() => page.locator('nav a[href="/tasks"]').first().click(), () => page.evaluate(() => history.back()), () => page.keyboard.press('g').then(() => page.keyboard.press('t'))]
  await field.blur()
  for (const go of ways) {
    await go()
    await question.waitFor()
    await question.getByRole('button', { name: text('common.cancel') }).click()
    await question.waitFor({ state: 'detached' })
    expect(new URL(page.url()).pathname).toBe(settings)
    expect(await field.inputValue()).toBe(typed)
  }
  // Closing the tab is asked about by the browser.
  const asked = page.waitForEvent('dialog')
  await page.evaluate(() => setTimeout(() => location.reload()))
  const browserQuestion = await asked
  expect(browserQuestion.type()).toBe('beforeunload')
  await browserQuestion.dismiss()
  await page.locator('nav a[href="/tasks"]').first().click()
  await question.getByRole('button', { name: text('common.unsaved.discard') }).click()
  await page.waitForURL(/\/tasks$/)
  await visit.settled()
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})

test('several lines are copied as several lines, over plain HTTP too', async () => {
  const url = house.gateway.url.replace('127.0.0.1', INSECURE_NAME)
  const visit = await Visit.open(browser, house.gateway, { url })
  const { page } = visit
  // The browser says of this header that it is for secure pages.
  visit.expect(/Cross-Origin-Opener-Policy/)
  await visit.goTo(`/groups/${house.groups.openai.id}`)
  expect(await page.evaluate(() => window.isSecureContext)).toBe(false)
  const code = page.getByRole('figure').filter({ hasText: 'curl' })
  const lines = ((await code.locator('code').textContent()) ?? '').split('\n')
  expect(lines.length).toBeGreaterThan(2)
  await code.getByRole('button', { name: text('common.copy.action') }).click()
  await code.getByRole('button', { name: text('common.copy.done') }).waitFor()
  await page.goto(`/groups/${house.groups.openai.id}/keys?dialog=import`)
  const field = page.getByRole('dialog').getByRole('textbox').first()
  await field.focus()
  await page.keyboard.press('Control+V')
  // The key is masked on the screen, and whole in the copy.
  expect((await field.inputValue()).split('\n').length).toBe(lines.length)
  await field.fill('')
  await visit.settled()
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})
