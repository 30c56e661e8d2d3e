// A whole task without a mouse: sign in, find a group, disable a key, and take it back.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { AUTH_KEY } from './harness/gateway'
import { openHouse, type House } from './harness/house'
import { text } from './harness/texts'
import { Visit, openBrowser } from './harness/visit'
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

/** Of what has focus, as it is read aloud. */
const focused = (page: Page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? '')

/** Goes on with Tab until something of this name has focus, as somebody does who looks at what is lit. */
async function tabTo(page: Page, name: string): Promise<void> {
  const seen: string[] = []
  for (let presses = 0; presses < 60; presses++) {
    const now = await focused(page)
    if (now === name) return
    seen.push(now.slice(0, 40))
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab leads to ${seen.join(' → ')}, and not to ${name}`)
}

test('a key is found and disabled by the keyboard alone', async () => {
  const visit = await Visit.open(browser, house.gateway, { isSignedIn: false })
  const { page } = visit
  visit.expect(/401/)
  const { openai } = house.groups

  // The field has focus already; Enter sends the form.
  await visit.goTo(`/groups/${openai.id}`)
  await page.waitForURL(/\/login\?next=/)
  await page.keyboard.type(AUTH_KEY)
  await page.keyboard.press('Enter')
  await page.waitForURL(new RegExp(`/groups/${openai.id}$`))
  await visit.settled()

  await page.keyboard.press('Control+K')
  await page.getByRole('combobox').waitFor()
  await page.keyboard.type('spare')
  await page.getByRole('option', { name: 'OpenAI, spare account' }).waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/groups\/\d+/)
  await eventually('the palette has led to the group', async () => (await page.locator('#page-title').textContent()) === 'OpenAI, spare account')

  await tabTo(page, text('groups.tabs.keys'))
  await page.keyboard.press('Enter')
  await page.getByRole('row').nth(1).waitFor()
  await visit.settled()
  // Down to the second key, open it, disable it.
  await eventually('a row has focus', async () => {
    if (await page.evaluate(() => document.activeElement?.getAttribute('role') === 'row')) return true
    await page.keyboard.press('Tab')
    return false
  })
  await page.keyboard.press('ArrowDown')
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-rowindex'))).toBe('3')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await visit.settled()
  await tabTo(page, text('keys.bulk.verbs.disable'))
  await page.keyboard.press('Enter')
  // Behind the dialog, where nothing has a role for now.
  await page.locator('[role="row"]').filter({ hasText: text('keys.states.disabled') }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-rowindex'))).toBe('3')

  // The list of shortcuts, and away by one of them.
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: text('frame.shortcuts.title') }).waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await page.waitForURL(/\/tasks$/)
  await visit.settled()
  expect(visit.takeProblems()).toEqual([])
  await visit.close()
})
