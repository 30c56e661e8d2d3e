// What is wrong with JSON, and where, in words.
import { useI18n } from 'vue-i18n'
import type { JsonProblem } from './json'

export function useJsonText(): (problem: JsonProblem) => string {
  const { t } = useI18n()
  return ({ fault, line, column, found }) => t('group_form.json.at', { line, column, problem: t(`group_form.json.faults.${fault}`, { found: found === '\n' || found === '' ? '⏎' : found }) })
}
