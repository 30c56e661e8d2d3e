// Every address of the console on one page.
import { nextTick, ref } from 'vue'
import { createRouter, createWebHistory, type RouteLocationNormalized } from 'vue-router'
import { hasSession } from '@/api/session'
import { whenSignedOut } from '@/api/client'
import { hasUnsavedInput } from '@/composables/useUnsavedGuard'
import { ownPath } from '@/features/login/ownPath'
import { allTexts } from '@/locales'

declare module 'vue-router' {
  interface RouteMeta {
    /** Works without a session, outside the frame. */
    isOpen?: boolean
    /** Its texts come with the first ones; all other views wait for the rest. */
    isFirst?: boolean
  }
}

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
  routes: [
    { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { isOpen: true, isFirst: true } },
    {
      path: '/',
      component: () => import('./features/frame/ConsoleFrame.vue'),
      children: [
        { path: '', name: 'dashboard', component: () => import('./pages/DashboardPage.vue'), meta: { isFirst: true } },
        { path: 'welcome', name: 'welcome', component: () => import('./pages/WelcomePage.vue') },
        { path: 'groups', name: 'groups', component: () => import('./pages/GroupsPage.vue') },
        { path: 'groups/new', name: 'group-new', component: () => import('./pages/NewGroupPage.vue') },
        {
          path: 'groups/:id(\\d+)',
          component: () => import('./pages/GroupPage.vue'),
          children: [
            { path: '', name: 'group', component: () => import('./pages/group/GroupOverviewPage.vue') },
            { path: 'keys', name: 'group-keys', component: () => import('./pages/group/GroupKeysPage.vue') },
            { path: 'members', name: 'group-members', component: () => import('./pages/group/GroupMembersPage.vue') },
            { path: 'settings', name: 'group-settings', component: () => import('./pages/group/GroupSettingsPage.vue') },
          ],
        },
        { path: 'logs', name: 'logs', component: () => import('./pages/LogsPage.vue') },
        { path: 'playground', name: 'playground', component: () => import('./pages/PlaygroundPage.vue') },
        { path: 'tasks', name: 'tasks', component: () => import('./pages/TasksPage.vue') },
        { path: 'settings', name: 'settings', component: () => import('./pages/SettingsPage.vue') },
        { path: 'system', name: 'system', component: () => import('./pages/SystemPage.vue') },
        // Addresses of the original's console, for bookmarks.
        { path: 'keys', redirect: (to) => (/^\d+$/.test(String(to.query.groupId)) ? { name: 'group-keys', params: { id: String(to.query.groupId) }, query: {} } : { name: 'groups', query: {} }) },
        { path: ':rest(.*)*', name: 'nowhere', component: () => import('./pages/NowherePage.vue') },
      ],
    },
  ],
})

let isSignedIn = false

/** The session ended under a page with unsaved input: it stays, and the log-in comes to it (App.vue). */
export const isSessionOver = ref(false)

/** Remembered between views, so that none waits for the server to say it again; the first refusal ends it. */
export function setSignedIn(value: boolean): void {
  isSignedIn = value
}

export function loginLocation(to: RouteLocationNormalized) {
  return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
}

router.beforeEach(async (to) => {
  if (!isSignedIn) {
    // A server that is away is no reason to ask for a key: the banner tells.
    isSignedIn = await hasSession().catch(() => to.name !== 'login')
  }
  if (isSignedIn && to.name === 'login') return ownPath(to.query.next)
  return isSignedIn || to.meta.isOpen ? true : loginLocation(to)
})

router.beforeResolve(async (to) => {
  if (!to.meta.isFirst) await allTexts()
})

// Whoever listens to the page, and whoever uses the keyboard, begins at its heading.
router.afterEach((to, from) => {
  if (from.matched.length === 0 || to.path === from.path) return
  void nextTick(() => document.getElementById('page-title')?.focus({ preventScroll: true }))
})

whenSignedOut(() => {
  const wasSignedIn = isSignedIn
  isSignedIn = false
  const at = router.currentRoute.value
  if (at.meta.isOpen) return
  if (hasUnsavedInput()) isSessionOver.value = true
  else if (wasSignedIn) void router.push(loginLocation(at))
})
