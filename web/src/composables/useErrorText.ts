// What to tell a person about an error: the server's own words where it has some, else ours.
import { useI18n } from 'vue-i18n'
import { ApiError } from '@/api/client'

export function useErrorText(): (error: unknown) => string {
  const { t } = useI18n()
  return (error) => {
    if (!(error instanceof ApiError)) return t('common.errors.unexpected', { detail: error instanceof Error ? error.message : String(error) })
    if (error.isUnreachable) return t('common.errors.unreachable')
    return error.message || t('common.errors.status', { status: error.status })
  }
}
