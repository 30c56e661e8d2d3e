// A person at the console: a page in a language, a theme and a width, and everything that goes wrong on it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import axe from 'axe-core'
import { chromium, type Browser, type BrowserContext, type Page, type Request } from 'playwright-core'
import { BINARIES, SCREENSHOTS } from './binaries'
import { showDistribution } from './distribution'
import { AUTH_KEY, type Gateway } from './gateway'
import { eventually } from './wait'

export const LANGUAGES = ['zh-CN', 'en-US', 'ja-JP'] as const
export const THEMES = ['light', 'dark'] as const
/** A telephone, a laptop, a wide screen; each with the height that goes with it. */
export const SIZES = { 360: 740, 1280: 800, 2560: 1440 } as const

export type Language = (typeof LANGUAGES)[number]
export type Theme = (typeof THEMES)[number]
export type Width = keyof typeof SIZES

const WCAG_2_2_AA = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** Streams that stay open while a view is. */
const ENDLESS = /\/live(\?|$)/
const PATIENCE_MS = 15_000
/** To the browser a name in a network, over plain HTTP: what it offers to secure pages only, it does not offer there. */
export const INSECURE_NAME = 'gpt-load.test'

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: BINARIES.browser.path,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
      `--host-resolver-rules=MAP ${INSECURE_NAME} 127.0.0.1`,
      // A page that showDistribution puts in has no address, and could not ask a server on this machine.
      '--disable-features=LocalNetworkAccessChecks',
    ],
  })
}

export interface VisitOptions {
  language?: Language
  theme?: Theme
  width?: Width
  /** Else the visitor stands before the log-in. */
  isSignedIn?: boolean
  /** The same server by another name. */
  url?: string
}

export class Visit {
  readonly problems: string[] = []
  readonly #pending = new Set<Request>()
  readonly #expected: RegExp[] = []

  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
    readonly url: string,
    readonly language: Language,
  ) {
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.note(`${message.type()}: ${message.text()} (${message.location().url})`)
    })
    page.on('pageerror', (error) => this.note(`exception: ${error.stack ?? error.message}`))
    page.on('request', (request) => {
      if (!ENDLESS.test(request.url())) this.#pending.add(request)
    })
    page.on('requestfinished', (request) => this.#pending.delete(request))
    page.on('requestfailed', (request) => {
      this.#pending.delete(request)
      const reason = request.failure()?.errorText ?? ''
      // The page gave up on it itself: another view, another filter.
      if (!reason.includes('ERR_ABORTED')) this.note(`failed: ${request.method()} ${request.url()} ${reason}`)
    })
    page.on('response', (response) => {
      if (response.status() >= 400) this.note(`status ${response.status()}: ${response.request().method()} ${response.url()}`)
      // A page that comes anew forgets what it was waiting for.
      if (response.request().isNavigationRequest()) for (const request of this.#pending) if (request.timing().startTime < response.request().timing().startTime) this.#pending.delete(request)
    })
  }

  static async open(browser: Browser, gateway: Gateway, options: VisitOptions = {}): Promise<Visit> {
    const { language = 'en-US', theme = 'light', width = 1280, isSignedIn = true, url = gateway.url } = options
    const context = await browser.newContext({
      baseURL: url,
      locale: language,
      timezoneId: 'Europe/Berlin',
      colorScheme: theme,
      // What fades in would be measured half faded.
      reducedMotion: 'reduce',
      viewport: { width, height: SIZES[width] },
    })
    context.setDefaultTimeout(PATIENCE_MS)
    await showDistribution(context, gateway.url)
    if (isSignedIn) {
      const answer = await context.request.post(`${gateway.url}/api/session`, { data: { auth_key: AUTH_KEY, remember: false } })
      if (!answer.ok()) throw new Error(`no session: ${answer.status()} ${await answer.text()}`)
      // Names that only the browser knows are not looked up by what asks here.
      const { hostname } = new URL(url)
      await context.addCookies((await context.cookies(`${gateway.url}/api`)).map((cookie) => ({ ...cookie, domain: hostname })))
    }
    return new Visit(context, await context.newPage(), url, language)
  }

  /** What belongs to the story of a test: the 401 of a session that has ended, say. */
  expect(...problems: RegExp[]): void {
    this.#expected.push(...problems)
    for (let at = this.problems.length - 1; at >= 0; at--) if (problems.some((pattern) => pattern.test(this.problems[at] ?? ''))) this.problems.splice(at, 1)
  }

  /** Opens an address as if it had been typed. */
  async goTo(path: string): Promise<void> {
    await this.page.goto(path)
    await this.settled()
  }

  /** Until the view shows its data, or says why not. */
  async settled(): Promise<void> {
    let quietLooks = 0
    await eventually(
      `${this.page.url()} is settled`,
      async () => {
        const isShown = await this.page.evaluate(() => document.querySelector('h1') !== null && document.querySelector('[class*="shimmer"]') === null)
        quietLooks = isShown && this.#pending.size === 0 ? quietLooks + 1 : 0
        return quietLooks >= 2
      },
      PATIENCE_MS,
    ).catch((error: unknown) => {
      const open = [...this.#pending].map((request) => request.url())
      throw new Error(`${String(error)}; requests that are open: ${open.join(', ') || 'none'}; problems: ${this.problems.join('\n') || 'none'}`)
    })
  }

  async show(theme: Theme): Promise<void> {
    await this.page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
  }

  async resize(width: Width): Promise<void> {
    await this.page.setViewportSize({ width, height: SIZES[width] })
    // Charts and virtual rows answer to their observers in the next frame.
    await this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  }

  /** What stands out to the right, if the page scrolls sideways. */
  async overflow(): Promise<string[]> {
    return await this.page.evaluate(() => {
      const root = document.documentElement
      if (root.scrollWidth <= root.clientWidth) return []
      const isOut = (element: Element) => element.getBoundingClientRect().right > root.clientWidth + 0.5
      const out = [...document.body.querySelectorAll('*')].filter((element) => isOut(element) && ![...element.children].some(isOut))
      const told = out.slice(0, 5).map((element) => `<${element.tagName.toLowerCase()} class="${element.getAttribute('class') ?? ''}"> ${element.textContent?.trim().slice(0, 40) ?? ''}`)
      return [`${root.scrollWidth} px wide`, ...told]
    })
  }

  /** Violations of WCAG 2.2 AA. */
  async violations(): Promise<string[]> {
    // By the debugger, which no policy of the page keeps out.
    await this.page.evaluate(`window.axe === undefined && void (() => { ${axe.source} })()`)
    const found = await this.page.evaluate(async (tags) => {
      const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document, { runOnly: tags, resultTypes: ['violations'] })
      return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`))
    }, WCAG_2_2_AA)
    return found
  }

  /** Into docs/screenshots, when asked for with SCREENSHOTS=1. */
  async screenshot(name: string): Promise<void> {
    if (!process.env.SCREENSHOTS) return
    await mkdir(SCREENSHOTS, { recursive: true })
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
  }

  /** Takes along what went wrong so far. */
  takeProblems(): string[] {
    return this.problems.splice(0)
  }

  async close(): Promise<void> {
    await this.context.close()
  }

  private note(problem: string): void {
    if (!this.#expected.some((pattern) => pattern.test(problem))) this.problems.push(problem)
  }
}
