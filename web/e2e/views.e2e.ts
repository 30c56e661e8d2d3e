// Each view in three languages, two themes and three widths: nothing on the console, nothing that scrolls sideways, nothing
// that axe objects to.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { openHouse, type House } from './harness/house'
import { LANGUAGES, SIZES, THEMES, Visit, openBrowser, type Language, type Width } from './harness/visit'

interface View {
  name: string
  path: (house: House) => string
  /** What is pressed or opened before the look. */
  prepare?: (visit: Visit) => Promise<void>
}

const VIEWS: View[] = [
  { name: 'dashboard', path: () => '/' },
  { name: 'welcome', path: () => '/welcome' },
  { name: 'groups', path: () => '/groups' },
  { name: 'group-new', path: () => '/groups/new' },
  { name: 'group', path: ({ groups }) => `/groups/${groups.openai.id}` },
  { name: 'group-aggregate', path: ({ groups }) => `/groups/${groups.everything.id}` },
  { name: 'group-empty', path: ({ groups }) => `/groups/${groups.empty.id}` },
  { name: 'group-keys', path: ({ groups }) => `/groups/${groups.openai.id}/keys` },
  { name: 'group-key', path: ({ groups }) => `/groups/${groups.openai.id}/keys?key=1` },
  { name: 'group-keys-import', path: ({ groups }) => `/groups/${groups.openai.id}/keys?dialog=import` },
  { name: 'group-members', path: ({ groups }) => `/groups/${groups.everything.id}/members` },
  { name: 'group-settings', path: ({ groups }) => `/groups/${groups.anthropic.id}/settings` },
  { name: 'logs', path: () => '/logs' },
  { name: 'log-entry', path: ({ entryId }) => `/logs?entry=${entryId}` },
  { name: 'playground', path: () => '/playground' },
  { name: 'tasks', path: () => '/tasks' },
  { name: 'settings', path: () => '/settings' },
  { name: 'system', path: () => '/system' },
  { name: 'palette', path: () => '/tasks', prepare: ({ page }) => page.keyboard.press('Control+K').then(() => page.getByRole('combobox').waitFor()) },
  { name: 'nowhere', path: () => '/no/such/view' },
]

/** Widths at which axe looks: below and above the point where lists become tables. */
const AXE_WIDTHS: Width[] = [360, 1280]
const WIDTHS = Object.keys(SIZES).map(Number) as Width[]

let browser: Browser
let house: House

beforeAll(async () => {
  ;[browser, house] = await Promise.all([openBrowser(), openHouse()])
})

afterAll(async () => {
  await browser.close()
  await house.close()
})

describe.each(LANGUAGES)('in %s', (language) => {
  let visit: Visit

  beforeAll(async () => {
    visit = await Visit.open(browser, house.gateway, { language })
  })

  afterAll(async () => {
    await visit.close()
  })

  test.each(VIEWS)('$name is in order in both themes and at every width', async (view) => {
    await visit.goTo(view.path(house))
    await view.prepare?.(visit)
    await look(visit, view.name, language)
  })
})

test.each(LANGUAGES)('the log-in in %s is in order in both themes and at every width', async (language) => {
  const visit = await Visit.open(browser, house.gateway, { language, isSignedIn: false })
  // The question whether a session is open, which it is not.
  visit.expect(/401/)
  await visit.goTo('/login')
  await look(visit, 'login', language)
  await visit.close()
})

async function look(visit: Visit, name: string, language: Language): Promise<void> {
  const wrong: string[] = []
  for (const width of WIDTHS) {
    await visit.resize(width)
    for (const theme of THEMES) {
      await visit.show(theme)
      const at = `${theme}, ${width} px: `
      // A theme changes no widths.
      if (theme === 'light') wrong.push(...(await visit.overflow()).map((what) => at + what))
      // What axe looks at is the same in every language, but for the texts' lengths.
      if (language === 'en-US' && AXE_WIDTHS.includes(width)) wrong.push(...(await visit.violations()).map((what) => at + what))
      await takePicture(visit, name, language, theme, width)
    }
  }
  await visit.settled()
  await visit.resize(1280)
  await visit.show('light')
  expect([...wrong, ...visit.takeProblems()]).toEqual([])
  expect(await visit.page.evaluate(() => document.documentElement.lang)).toBe(language)
}

async function takePicture(visit: Visit, name: string, language: Language, theme: string, width: Width): Promise<void> {
  const isWanted = width === 2560 ? theme === 'light' && language === 'en-US' : width === 1280 || theme === 'light'
  if (isWanted) await visit.screenshot(`${name}.${language}.${theme}.${width}`)
}
