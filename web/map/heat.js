// The heat of all reports ever: one month after the other, of all kinds or of one.

import { tiles } from "./server.js"
import { element } from "./words.js"

const MONTHS = 24
const SETTLE_MILLISECONDS = 200

/** Wires the heat's switches. `whose()` is the municipality chosen ("" for all). */
export function heat({ map, say, language, whose }) {
  const tick = document.getElementById("show-heat")
  const slider = document.getElementById("heat-month")
  const group = document.getElementById("heat-group")
  const said = document.getElementById("heat-said")
  const name = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" })
  let settled

  /** The month the slider stands at; null at its right end, which is all time. */
  function month() {
    const back = MONTHS - 1 - Number(slider.value)
    if (back < 0) return null
    const now = new Date()
    return new Date(Date.UTC(now.getFullYear(), now.getMonth() - back, 1))
  }

  function filter() {
    const chosen = month()?.toISOString().slice(0, 7)
    return { ...(group.value && { group: group.value }), ...(chosen && { from: chosen, to: chosen }) }
  }

  function show() {
    document.getElementById("heat").hidden = !tick.checked
    said.textContent = month() ? name.format(month()) : say("map.heat_always")
    clearTimeout(settled)
    settled = setTimeout(() => map.getSource("heat")?.setTiles([tiles("heat", whose(), filter())]), SETTLE_MILLISECONDS)
  }

  for (const [input, event] of [[tick, "change"], [slider, "input"], [group, "change"]]) input.addEventListener(event, show)
  show()
  return {
    show,
    /** The groups that can be chosen. */
    offer(groups) {
      const known = new Set([...group.options].map((option) => option.value))
      group.append(
        ...groups
          .filter(({ slug }) => !known.has(slug))
          .map(({ slug, name: names }) => element("option", { value: slug }, names[language])),
      )
    },
  }
}
