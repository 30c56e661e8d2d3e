// Waits for what must come, and says what it saw when it does not.

const PATIENCE_MS = 20_000
const LOOK_MS = 20

/** The first value that is neither `undefined` nor `false`. */
export async function eventually<T>(what: string, look: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<Exclude<T, undefined | false>> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}
