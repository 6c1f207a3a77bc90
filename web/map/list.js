// The list beside the map: the same reports for those who do not see it, or would rather read.

import { newest, taxonomy } from "./server.js"
import { element, patch } from "./words.js"

const LONGEST = 30

/** The list of reports in view. `onChoose(report, element)` hears which one was chosen. */
export function list({ say, language, calendar, names, onChoose }) {
  const items = document.getElementById("list-reports")
  const count = document.getElementById("list-count")
  let asked = 0
  let shown = ""

  /** Read the list anew for a box of degrees and a municipality ("" for all). */
  async function read(box, slug) {
    const turn = ++asked
    const page = await newest(box, slug, LONGEST)
    const places = [...new Set(page.reports.map((report) => report.municipality))]
    const known = new Map(await Promise.all(places.map(async (place) => [place, await taxonomy(place)])))
    if (turn === asked) show(page, known)
  }

  function show({ reports, next }, known) {
    announce(tally(reports.length, next !== null))
    // What stays the same is left alone, and with it the reader's place in it.
    const content = JSON.stringify(reports.map((report) => [report.number, report.state, report.category]))
    if (content === shown) return
    shown = content
    const reading = items.contains(document.activeElement) ? document.activeElement.dataset.number : null
    items.replaceChildren(...reports.map((report) => item(report, known.get(report.municipality))))
    if (reading) items.querySelector(`[data-number="${CSS.escape(reading)}"]`)?.focus()
  }

  function announce(sentence) {
    if (count.textContent !== sentence) count.textContent = sentence
  }

  function tally(found, more) {
    if (found === 0) return say("map.none_here")
    if (found === 1) return say("map.one_here")
    return say(more ? "map.many_here" : "map.several_here", { count: found })
  }

  function item(report, known) {
    const category = known.categories.find(({ slug }) => slug === report.category)
    const group = known.groups.find(({ slug }) => slug === report.group)
    const button = element(
      "button",
      { type: "button", "data-number": report.number, onclick: () => onChoose(report, button) },
      patch(group?.colour ?? "transparent"),
      element("span", { class: "what" }, category?.name[language] ?? report.category),
      element(
        "span",
        { class: "where" },
        [names.get(report.municipality), say(`state.${report.state}`), calendar.age(report.created_at)].join(" · "),
      ),
    )
    return element("li", {}, button)
  }

  return { read }
}
