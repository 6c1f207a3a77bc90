// The worker that shows what comes while no page is open, and says yes for its browser where it is asked to.
// Its scope does not matter: messages find it wherever it is registered from.

async function confirmed(token) {
  const answer = await fetch(`/api/v1/subscriptions/confirmations/${token}`, { method: "PUT" })
  return answer.ok ? (await answer.json()).says : null
}

async function show(told) {
  const says = told.confirm && (await confirmed(told.confirm).catch(() => null))
  await self.registration.showNotification(says ? "✓" : told.title, {
    body: says ? says[0].toUpperCase() + says.slice(1) : told.body,
    tag: told.tag || undefined,
    lang: told.language,
    icon: "/static/lampione.svg",
    data: { link: told.link },
  })
}

self.addEventListener("push", (event) => event.waitUntil(show(event.data.json())))

self.addEventListener("notificationclick", (event) => {
  event.notification.close()
  if (event.notification.data.link) event.waitUntil(clients.openWindow(event.notification.data.link))
})
