// The panel of one report, or of several at one place: read from the public API when it opens.

import { report as fetchReport, taxonomy } from "./server.js"
import { element, patch } from "./words.js"

const CLOSE_UP = 17

/** The panel. `onChange(number)` hears which report it shows, "" when it closes. */
export function panel({ say, language, calendar, names, onChange }) {
  const box = document.getElementById("report")
  const title = document.getElementById("report-title")
  const body = document.getElementById("report-body")
  let numbers = []
  let position = 0
  let opener = null

  document.getElementById("report-close").addEventListener("click", close)
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.hidden) close()
  })

  /** Show one or several reports that lie at one place; `from` is the element to return to. */
  async function open(wanted, from = null) {
    numbers = wanted
    position = 0
    opener = from
    await show()
  }

  function close() {
    const number = numbers[position]
    box.hidden = true
    numbers = []
    onChange("")
    wayBack(number).focus()
  }

  /** Where the visitor came from; the list may have been read anew since then. */
  function wayBack(number) {
    if (opener?.isConnected) return opener
    const item = document.querySelector(`#list-reports [data-number="${CSS.escape(number)}"]`)
    return item ?? document.getElementById("list")
  }

  async function show() {
    const number = numbers[position]
    onChange(number)
    try {
      const found = await fetchReport(number)
      const known = found && (await taxonomy(found.municipality))
      if (number !== numbers[position]) return
      title.replaceChildren(...heading(number, found, known))
      body.replaceChildren(...(found ? facts(found) : [element("p", {}, say("map.gone"))]), ...steps())
    } catch {
      title.textContent = number
      body.replaceChildren(element("p", {}, say("map.unreachable")))
    }
    box.hidden = false
    title.focus({ preventScroll: true })
    box.scrollIntoView({ block: "nearest" })
  }

  function heading(number, found, known) {
    if (!found) return [number]
    const category = known.categories.find(({ slug }) => slug === found.category)
    const group = known.groups.find(({ slug }) => slug === found.group)
    return [
      ...(group ? [patch(group.colour)] : []),
      category?.name[language] ?? found.category,
      " ",
      element("small", {}, `${number} · ${names.get(found.municipality) ?? found.municipality}`),
    ]
  }

  function facts(found) {
    const { lon, lat } = found.place
    const list = element(
      "dl",
      {},
      ...fact(say("map.state"), element("span", { class: "state" }, say(`state.${found.state}`))),
      ...fact(say("map.reported"), `${calendar.day(found.created_at)} (${calendar.age(found.created_at)})`),
      ...(found.is_open ? expected(found) : []),
      ...(found.people > 1 ? fact(say("map.people"), say("map.people_number", { people: found.people })) : []),
    )
    return [
      found.description ? element("p", {}, found.description) : null,
      photos(found),
      list,
      element("h3", {}, say("map.history")),
      element("ol", { class: "history" }, ...found.timeline.map(happening)),
      element(
        "p",
        { class: "links" },
        element("a", { href: `#${CLOSE_UP}/${lat.toFixed(6)}/${lon.toFixed(6)}` }, say("map.here")),
        element("a", { href: `/api/v1/reports/${found.number}` }, say("map.data")),
      ),
    ].filter((part) => part !== null)
  }

  function expected(found) {
    if (found.promised_at) return fact(say("map.promised"), calendar.day(found.promised_at))
    return fact(say("map.deadline"), calendar.day(found.deadline_at))
  }

  function photos(found) {
    if (!found.photos.length) return null
    const alt = say("map.photo", { number: found.number })
    return element(
      "p",
      { class: "photos" },
      ...found.photos.map((id) =>
        element("a", { href: `/api/v1/photos/${id}/large` }, element("img", { src: `/api/v1/photos/${id}/small`, alt })),
      ),
    )
  }

  function happening(entry) {
    const state = entry.to_state && entry.what.endsWith("moved") ? `: ${say(`state.${entry.to_state}`)}` : ""
    return element(
      "li",
      {},
      element("time", { datetime: entry.at }, calendar.day(entry.at)),
      ` ${say(`page.what.${entry.what}`)}${state}`,
      entry.note ? element("blockquote", {}, entry.note) : null,
    )
  }

  function steps() {
    if (numbers.length < 2) return []
    const count = numbers.length
    const step = (by) => () => {
      position = (position + by + count) % count
      show()
    }
    return [
      element(
        "p",
        { class: "steps" },
        element("button", { type: "button", onclick: step(-1) }, say("map.previous")),
        element("span", {}, say("map.one_of", { position: position + 1, count })),
        element("button", { type: "button", onclick: step(1) }, say("map.following")),
      ),
    ]
  }

  return { open, close }
}

function fact(name, value) {
  return [element("dt", {}, name), element("dd", {}, value)]
}
