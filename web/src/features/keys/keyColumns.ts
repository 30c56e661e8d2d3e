// The columns of the key table.
import type { ComposerTranslation } from 'vue-i18n'
import type { Column } from '@/ui/table/tableLayout'

export function keyColumns(t: ComposerTranslation): Column[] {
  return [
    { id: 'key', title: t('keys.columns.key'), widthPx: 176, isAlways: true },
    { id: 'status', title: t('keys.columns.state'), widthPx: 176, sort: 'ascending' },
    { id: 'reason', title: t('keys.columns.reason'), widthPx: 120, grow: 3 },
    { id: 'notes', title: t('keys.columns.notes'), widthPx: 100, grow: 2 },
    { id: 'request_count', title: t('keys.columns.requests'), widthPx: 88, sort: 'descending', align: 'end' },
    { id: 'failure_count', title: t('keys.columns.failures'), widthPx: 84, sort: 'descending', align: 'end' },
    { id: 'last_used_at', title: t('keys.columns.last_used'), widthPx: 104, sort: 'descending' },
    { id: 'created_at', title: t('keys.columns.created'), widthPx: 104, sort: 'descending' },
    { id: 'updated_at', title: t('keys.columns.updated'), widthPx: 108, sort: 'descending', isExtra: true },
    { id: 'id', title: t('keys.columns.id'), widthPx: 88, sort: 'descending', align: 'end', isExtra: true },
  ]
}
