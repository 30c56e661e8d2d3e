// Reads a text of ours: {name} is a value, {'|'} the sign itself, and | divides the forms for one and for more. It replaces the
// compiler that vue-i18n brings, which is bigger than the rest of it and knows a syntax that we do not need.
import type { MessageFunction } from 'vue-i18n'

type Part = string | { name: string }

/** What vue-i18n hands to a message; its own type leaves out half of it. */
interface Context {
  named: (name: string) => unknown
  plural: (forms: Part[][]) => Part[]
  /** A value as a text, or as an element inside of `<i18n-t>`. */
  interpolate: (value: unknown) => unknown
  normalize: (parts: unknown[]) => string
}

export function compileMessage(text: string): MessageFunction<string> {
  return messageOf(text) as unknown as MessageFunction<string>
}

function messageOf(text: string): (context: Context) => string {
  const forms = parseForms(text)
  const [only] = forms
  if (forms.length === 1 && only?.every((part) => typeof part === 'string')) {
    const plain = only.join('')
    // Also inside of a component that sets elements between the words.
    return (context) => context.normalize([plain])
  }
  return (context) => write(forms.length === 1 ? (only ?? []) : context.plural(forms), context)
}

function write(parts: Part[], context: Context): string {
  return context.normalize(parts.map((part) => (typeof part === 'string' ? part : context.interpolate(context.named(part.name)))))
}

function parseForms(text: string): Part[][] {
  const forms: Part[][] = [[]]
  for (const [sign, literal, name] of text.matchAll(/\{'([^']*)'\}|\{\s*(\w+)\s*\}|\||[^{|]+|\{/g)) {
    if (sign === '|') forms.push([])
    else forms.at(-1)?.push(name === undefined ? (literal ?? sign) : { name })
  }
  return forms.length === 1 ? forms : forms.map(trimmed)
}

/** Blanks beside the dividing sign are for the reader of the file. */
function trimmed(form: Part[]): Part[] {
  return form.map((part, index) => {
    if (typeof part !== 'string') return part
    const start = index === 0 ? part.trimStart() : part
    return index === form.length - 1 ? start.trimEnd() : start
  })
}
