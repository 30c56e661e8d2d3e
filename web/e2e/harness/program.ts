// A child process that is stopped with the test that started it, with what it printed.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export class Program {
  #printed = ''

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (this.#printed += text))
  }

  static start(path: string, args: string[], cwd: string, env: Record<string, string>): Program {
    return new Program(spawn(path, args, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  get printed(): string {
    return this.#printed
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return
    const ended = once(this.child, 'exit')
    this.child.kill(signal)
    await ended
  }
}
