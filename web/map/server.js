// What the page asks of the server: always its own, whatever address it was opened under.

/** The municipalities served here: `slug`, `name`. */
export const municipalities = () => json("/api/v1/municipalities")

const asked = new Map()

/** What can be reported in a municipality: `groups` and `categories`. Asked for once. */
export function taxonomy(slug) {
  if (!asked.has(slug)) {
    const answer = json(`/api/v1/categories?municipality=${slug}`)
    asked.set(slug, answer)
    answer.catch(() => asked.delete(slug))
  }
  return asked.get(slug)
}

/** The TileJSON of the reports, of one municipality or (empty slug) of all. */
export const tileJson = (slug) => json(`/tiles/reports.json${slug ? `?municipality=${slug}` : ""}`)

/** The address of a layer's tiles. TileJSON names the public address, which need not be the one we were opened under. */
export const tiles = (layer, slug, filter = {}) => {
  const query = new URLSearchParams(slug ? { municipality: slug, ...filter } : filter).toString()
  return `${location.origin}/tiles/${layer}/{z}/{x}/{y}.mvt${query ? `?${query}` : ""}`
}

/** Open reports in a box of degrees, newest first: `reports` and, if there are more, `next`. */
export function newest([west, south, east, north], slug, limit) {
  const box = [Math.max(west, -180), Math.max(south, -90), Math.min(east, 180), Math.min(north, 90)]
  const query = new URLSearchParams({ status: "open", limit, bbox: box.map((degrees) => degrees.toFixed(6)).join() })
  if (slug) query.set("municipality", slug)
  return json(`/api/v1/reports?${query}`)
}

/** One public report with its history; null if the public may not (or no longer) see it. */
export async function report(number) {
  const answer = await fetch(`/api/v1/reports/${encodeURIComponent(number)}`)
  if (answer.status === 404) return null
  if (!answer.ok) throw new Error(`${answer.status}`)
  return answer.json()
}

async function json(path) {
  const answer = await fetch(path)
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
  return answer.json()
}
