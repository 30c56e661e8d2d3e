// The columns of the key table.
import type { ComposerTranslation } from 'vue-i18n'
import type { Column } from '@/ui/table/tableLayout'

export function keyColumns(t: ComposerTranslation): Column[] {
  return [
    { id: 'key', title: t('keys.columns.key'), widthPx: 184, isAlways: true },
    { id: 'status', title: t('keys.columns.state'), widthPx: 200, sort: 'ascending' },
    { id: 'reason', title: t('keys.columns.reason'), widthPx: 128, grow: 3 },
    { id: 'notes', title: t('keys.columns.notes'), widthPx: 112, grow: 2 },
    { id: 'request_count', title: t('keys.columns.requests'), widthPx: 92, sort: 'descending', align: 'end' },
    { id: 'failure_count', title: t('keys.columns.failures'), widthPx: 92, sort: 'descending', align: 'end' },
    { id: 'last_used_at', title: t('keys.columns.last_used'), widthPx: 108, sort: 'descending' },
    { id: 'created_at', title: t('keys.columns.created'), widthPx: 108, sort: 'descending' },
    { id: 'updated_at', title: t('keys.columns.updated'), widthPx: 108, sort: 'descending', isExtra: true },
    { id: 'id', title: t('keys.columns.id'), widthPx: 88, sort: 'descending', align: 'end', isExtra: true },
  ]
}
