// Texts in ja-JP of all that is not seen first; they come while the first view is looked at.
const files = import.meta.glob<Record<string, unknown>>(['./ja-JP/*.json', '!./ja-JP/{common,frame,login,dashboard,range,chart,verdicts}.json'], { eager: true, import: 'default' })

export default files
