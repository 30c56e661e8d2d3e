// Text to the clipboard, also over plain HTTP, where browsers offer no clipboard: then by a hidden field that keeps its lines.
import { useI18n } from 'vue-i18n'
import { useToasts } from '@/ui/toasts'

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyByField(text)
  }
}

function copyByField(text: string): boolean {
  const field = document.createElement('textarea')
  field.value = text
  field.setAttribute('readonly', '')
  field.setAttribute('aria-hidden', 'true')
  field.className = 'sr-only'
  // Inside an open dialog: focus must not leave it.
  const home = document.querySelector('[role="dialog"][data-state="open"]') ?? document.body
  const focused = document.activeElement
  home.append(field)
  field.select()
  const isCopied = document.execCommand('copy')
  field.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return isCopied
}

export function useCopy() {
  const toasts = useToasts()
  const { t } = useI18n()
  return {
    copy: async (text: string): Promise<boolean> => {
      const isCopied = await copyText(text)
      if (!isCopied) toasts.problem(t('common.copy.failed'))
      return isCopied
    },
  }
}
