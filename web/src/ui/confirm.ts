// A question before what cannot be undone, asked from anywhere: `await confirm({…})`. One at a time; UiConfirm shows it.
import { readonly, shallowRef } from 'vue'

export interface Question {
  title: string
  /** What will happen, and what cannot be brought back. */
  text?: string
  /** A word for the button, a verb: "Delete 12 keys". */
  action: string
  isDangerous?: boolean
  /** What must be typed first, for what destroys much. */
  typed?: string
  /** Texts one below the other, for a preview of what is meant. */
  details?: string[]
}

const open = shallowRef<(Question & { answer: (yes: boolean) => void }) | null>(null)

export function useConfirm() {
  return {
    question: readonly(open),
    confirm: (question: Question) =>
      new Promise<boolean>((resolve) => {
        open.value?.answer(false)
        open.value = {
          ...question,
          answer: (yes) => {
            open.value = null
            resolve(yes)
          },
        }
      }),
  }
}
