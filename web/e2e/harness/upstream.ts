// The mock upstream: OpenAI, Anthropic and Gemini on one port, and told over HTTP what to do with the requests of a key.
import { tmpdir } from 'node:os'
import { BINARIES } from './binaries'
import { Program } from './program'
import { eventually } from './wait'

/** What is not set stays as in the usual answer (crates/testkit/src/mock/script.rs). */
export interface Play {
  status?: number
  headers?: [string, string][]
  body?: string | string[]
  delay_milliseconds?: number
  chunks?: number
  gap_milliseconds?: number
  ending?: 'reset' | 'close' | 'hang' | { close_after: number } | { hang_after: number }
}

/** The key that stands for every key without a script of its own. */
const ANY_KEY = '*'

export class Upstream {
  private constructor(
    private readonly program: Program,
    readonly url: string,
  ) {}

  static async start(): Promise<Upstream> {
    const program = Program.start(BINARIES.upstream.path, ['--listen', '127.0.0.1:0'], tmpdir(), {})
    const address = await eventually('the address of the mock upstream', () => /^127\.0\.0\.1:\d+/.exec(program.printed)?.[0])
    return new Upstream(program, `http://${address}`)
  }

  /** Without `times`: always. */
  async play(key: string, play: Play, times?: number): Promise<void> {
    const response = await fetch(`${this.url}/__mock/keys/${key}`, { method: 'POST', body: JSON.stringify({ play, times }) })
    if (!response.ok) throw new Error(await response.text())
  }

  async playAny(play: Play, times?: number): Promise<void> {
    await this.play(ANY_KEY, play, times)
  }

  async stop(): Promise<void> {
    await this.program.end('SIGKILL')
  }
}
