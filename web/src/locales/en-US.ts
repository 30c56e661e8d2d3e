// All texts in en-US, a file a feature.
const files = import.meta.glob<Record<string, unknown>>('./en-US/*.json', { eager: true, import: 'default' })

export default Object.fromEntries(
  Object.entries(files).map(([path, texts]) => [path.slice(path.lastIndexOf('/') + 1, -'.json'.length), texts]),
)
