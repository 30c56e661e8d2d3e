// The way out: the session is closed, and the log-in shown.
import { useRouter } from 'vue-router'
import { closeSession } from '@/api/session'
import { setSignedIn } from '@/router'

export function useSignOut(): () => Promise<void> {
  const router = useRouter()
  return async () => {
    // A page with unsaved input may keep him here.
    await closeSession().catch(() => {})
    setSignedIn(false)
    await router.push({ name: 'login' })
  }
}
