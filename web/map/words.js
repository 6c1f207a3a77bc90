// How things are said: sentences, dates, ages and the little elements that hold them.

const DAY = 86_400_000

/** The page's sentences, which the server has put into it from the catalogue: `say(key, values)`. */
export function sentences() {
  const texts = JSON.parse(document.getElementById("texts").textContent)
  return (key, values = {}) =>
    texts[key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole))
}

/** Dates and ages as the language says them. */
export function calendar(language) {
  const date = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" })
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" })
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0)
  return {
    day: (moment) => date.format(new Date(moment)),
    age: (moment) => relative.format(Math.round((midnight(moment) - midnight(Date.now())) / DAY), "day"),
  }
}

/** An element with attributes and children; text stays text, whatever is in it. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value)
    else made.setAttribute(key, value)
  }
  made.append(...children.filter((child) => child !== null))
  return made
}

/** A round patch of a group's colour. */
export function patch(colour) {
  const made = element("span", { class: "patch", "aria-hidden": "true" })
  made.style.backgroundColor = colour
  return made
}
