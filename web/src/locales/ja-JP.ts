// Texts in ja-JP that the first view needs: those of the frame, the log-in and the dashboard.
const files = import.meta.glob<Record<string, unknown>>('./ja-JP/{common,frame,login,dashboard,range,chart,verdicts}.json', { eager: true, import: 'default' })

export default files
