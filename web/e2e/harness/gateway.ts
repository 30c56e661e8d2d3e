// The real gpt-load binary in a directory of its own, on a free port, with SQLite.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BINARIES } from './binaries'
import { Program } from './program'
import { eventually } from './wait'

export const AUTH_KEY = 'Management-Key-of-a-Test-1234567890'
/** Opens every group that `createGroup` makes. */
export const PROXY_KEY = 'sk-client-of-a-test'

/** Another process may take a free port between our choice and the server's start. */
const START_TRIES = 3

export interface Group {
  id: number
  name: string
}

export class Gateway {
  private constructor(
    private program: Program,
    private readonly directory: string,
    private readonly port: number,
    private readonly env: Record<string, string>,
  ) {}

  static async start(env: Record<string, string> = {}): Promise<Gateway> {
    for (let attempt = 1; ; attempt++) {
      const directory = await mkdtemp(join(tmpdir(), 'gpt-load-e2e-'))
      const port = await freePort()
      const gateway = new Gateway(run(directory, port, env), directory, port, env)
      try {
        await gateway.becomesReady()
        return gateway
      } catch (error) {
        await gateway.remove()
        if (attempt === START_TRIES) throw error
      }
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get log(): string {
    return this.program.printed
  }

  /** The `data` of a management request that must succeed. */
  async manage<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${AUTH_KEY}`, 'Accept-Language': 'en-US', 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const told = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${told}`)
    return (JSON.parse(told) as { data: T }).data
  }

  /** A standard group of OpenAI's format, unless `more` says otherwise. */
  async createGroup(name: string, upstream: string, more: Record<string, unknown> = {}): Promise<Group> {
    const group = { name, channel_type: 'openai', test_model: 'mock-small', proxy_keys: PROXY_KEY, upstreams: [{ url: upstream, weight: 1 }], ...more }
    return await this.manage<Group>('POST', '/api/groups', group)
  }

  async createAggregate(name: string, channelType: string, members: Group[]): Promise<Group> {
    const group = await this.createGroup(name, 'http://unused.invalid', { group_type: 'aggregate', channel_type: channelType })
    const subGroups = members.map(({ id }, index) => ({ group_id: id, weight: index + 1 }))
    await this.manage('POST', `/api/groups/${group.id}/sub-groups`, { sub_groups: subGroups })
    return group
  }

  async addKeys(group: Group, keys: string[]): Promise<void> {
    await this.manage('POST', '/api/keys/add-multiple', { group_id: group.id, keys_text: keys.join('\n') })
  }

  /** A request through a group, read to its end; gives its status, or 0 where it broke off. */
  async ask(path: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
    try {
      const response = await fetch(`${this.url}/proxy/${path}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${PROXY_KEY}`, 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    }
  }

  /** As an operator does, or as a power cut. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.program.end(signal)
  }

  async startAgain(): Promise<void> {
    this.program = run(this.directory, this.port, this.env)
    await this.becomesReady()
  }

  async remove(): Promise<void> {
    await this.program.end('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }

  private async becomesReady(): Promise<void> {
    await eventually('the server serves', async () => {
      if (this.program.hasEnded) throw new Error(`the server has ended: ${this.program.printed}`)
      return fetch(`${this.url}/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    })
  }
}

function run(directory: string, port: number, env: Record<string, string>): Program {
  return Program.start(BINARIES.gateway.path, ['serve'], directory, {
    AUTH_KEY,
    PORT: String(port),
    HOST: '127.0.0.1',
    DATABASE_DSN: './gpt-load.db',
    ENCRYPTION_KEY: 'Passphrase-of-a-Test-1234567890',
    LOG_LEVEL: 'warn',
    TZ: 'UTC',
    ...env,
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
