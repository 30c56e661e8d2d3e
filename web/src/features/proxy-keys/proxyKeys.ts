// Proxy keys as the API keeps them, a list with commas, and what one does with them: read, add, make new ones, recognise.

export const PROXY_KEYS_CHARACTERS_MAX = 16_000
/** So many can be generated at once. */
export const GENERATED_MAX = 100
/** Shorter ones can be guessed; the server warns of them too. */
const SAFE_CHARACTERS_MIN = 16

const PREFIX = 'sk-'
const RANDOM_CHARACTERS = 48
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Bytes from here on are thrown away: with them the first letters would come more often than the last. */
const FAIR_BYTES_END = 256 - (256 % ALPHABET.length)

/** A shorter key shows nothing of itself. */
const PARTLY_SHOWN_CHARACTERS_MIN = 16
const SHOWN_AT_EACH_END = 4

/** As the server reads it: commas divide, blanks around a key and empty places do not count. */
export function parseProxyKeys(list: string): string[] {
  return list
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean)
}

export function joinProxyKeys(keys: readonly string[]): string {
  return keys.join(',')
}

export function maskProxyKey(key: string): string {
  const characters = [...key]
  if (characters.length < PARTLY_SHOWN_CHARACTERS_MIN) return '****'
  return `${characters.slice(0, SHOWN_AT_EACH_END).join('')}****${characters.slice(-SHOWN_AT_EACH_END).join('')}`
}

/**
 * What the request log calls each key: its masked form, or its place where that says too little.
 *
 * @param place is `#` for the list of a group, `global #` for the one that holds for every group.
 */
export function proxyKeyLabels(keys: readonly string[], place: '#' | 'global #'): string[] {
  const labelOf = new Map<string, string>()
  const given = new Set<string>()
  return keys.map((key, index) => {
    const at = `${place}${index + 1}`
    const masked = maskProxyKey(key)
    const saysSomething = /[^*]/.test(masked) && !/\p{Cc}/u.test(masked)
    const label = !saysSomething ? at : given.has(masked) ? `${masked} ${at}` : masked
    given.add(label)
    // A key that is listed twice is found under its first label.
    if (!labelOf.has(key)) labelOf.set(key, label)
    return labelOf.get(key) ?? label
  })
}

export function isEasilyGuessed(key: string): boolean {
  return key.length < SAFE_CHARACTERS_MIN
}

/** What somebody typed or pasted, split at commas, blanks and line breaks; those that are there already are left out and counted. */
export function addProxyKeys(keys: readonly string[], typed: string): { keys: string[]; added: number; known: number } {
  const all = new Set(keys)
  const wanted = typed.split(/[\s,]+/).filter(Boolean)
  for (const key of wanted) all.add(key)
  // Doubles that were stored before are nobody's doing now.
  const added = [...all].slice(new Set(keys).size)
  return { keys: [...keys, ...added], added: added.length, known: wanted.length - added.length }
}

/** A new key that nobody can guess. */
export function generateProxyKey(fillRandom: (bytes: Uint8Array<ArrayBuffer>) => unknown = (bytes) => crypto.getRandomValues(bytes)): string {
  let key = PREFIX
  const bytes = new Uint8Array(RANDOM_CHARACTERS)
  while (key.length < PREFIX.length + RANDOM_CHARACTERS) {
    fillRandom(bytes)
    for (const byte of bytes) {
      if (byte < FAIR_BYTES_END && key.length < PREFIX.length + RANDOM_CHARACTERS) key += ALPHABET[byte % ALPHABET.length]
    }
  }
  return key
}
