// The map page: open reports on the map and in the list beside it. Nothing is asked of any other server.

import { Map as MapView, NavigationControl, ScaleControl } from "/static/maplibre/maplibre-gl.mjs"

import { heat } from "./heat.js"
import { list } from "./list.js"
import { panel } from "./panel.js"
import { drawRings, ringName } from "./rings.js"
import { municipalities, taxonomy, tileJson, tiles } from "./server.js"
import { choice, colour, style, SWITCHED } from "./style.js"
import { calendar, element, patch, sentences } from "./words.js"

const REFRESH_MILLISECONDS = 15_000
const SETTLE_MILLISECONDS = 250
const FINGER_PIXELS = 8
const CLOSE_UP = 17
const MARGIN = 24
const PANEL_PIXELS = 400

const say = sentences()
const language = document.documentElement.lang
const selector = document.getElementById("municipality")
const groups = []
let map = null
let home = null
let warmth = null

/** One sentence of trouble above the map; none when all is well. */
function complain(sentence) {
  const trouble = document.getElementById("trouble")
  trouble.hidden = !sentence
  if (trouble.textContent !== sentence) trouble.textContent = sentence
}

/** Do `work`; if the server does not answer, say so. Whether it went well. */
async function trying(work) {
  try {
    await work()
    if (map) complain("")
    return true
  } catch (error) {
    console.warn(error)
    complain(say("map.unreachable"))
    return false
  }
}

const isWide = () => matchMedia("(min-width: 48rem)").matches
const box = ({ bounds: [west, south, east, north] }) => [
  [west, south],
  [east, north],
]

function inView() {
  return map ? map.getBounds().toArray().flat() : home.bounds
}

async function learnGroups(slug) {
  if (!slug) return
  const known = new Set(groups.map((group) => group.slug))
  const found = (await taxonomy(slug)).groups
  groups.push(...found.filter((group) => !known.has(group.slug)))
  const entries = found.map((group) => element("li", {}, patch(group.colour), group.name[language]))
  document.getElementById("legend").replaceChildren(...entries)
}

function draw() {
  try {
    return new MapView({
      container: "map",
      style: style(groups, selector.value, home.maxzoom),
      hash: true,
      bounds: box(home),
      fitBoundsOptions: { padding: MARGIN },
      attributionControl: false,
      renderWorldCopies: false,
      // Tiles cut out of enlarged ones are cached for good by MapLibre 6.17, whatever the server says: enlarge instead.
      zoomLevelsToOverscale: undefined,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      locale: {
        "Map.Title": say("map.canvas"),
        "NavigationControl.ZoomIn": say("map.zoom_in"),
        "NavigationControl.ZoomOut": say("map.zoom_out"),
        "ScaleControl.Meters": say("map.metres"),
        "ScaleControl.Kilometers": say("map.kilometres"),
      },
    })
  } catch (error) {
    // No WebGL: the list still works.
    console.warn(error)
    complain(say("map.no_map"))
    return null
  }
}

function furnish(open) {
  const canvasBox = document.getElementById("map")
  map.addControl(new NavigationControl({ showCompass: false }), "top-right")
  map.addControl(new ScaleControl(), "bottom-left")
  map.touchZoomRotate.disableRotation()
  map.keyboard.disableRotation()
  drawRings(map, groups)
  map.on("idle", () => (canvasBox.dataset.state = "idle"))
  map.on("error", ({ error }) => console.warn(error))
  map.on("click", ({ point, lngLat }) => {
    const near = [
      [point.x - FINGER_PIXELS, point.y - FINGER_PIXELS],
      [point.x + FINGER_PIXELS, point.y + FINGER_PIXELS],
    ]
    const singles = map.queryRenderedFeatures(near, { layers: ["singles"] })
    const numbers = [...new Set(singles.map((feature) => feature.properties.number))]
    if (numbers.length) {
      open(numbers, map.getCanvas())
      bringIntoSight({ center: singles[0].geometry.coordinates })
    } else if (map.queryRenderedFeatures(point, { layers: ["clusters"] }).length) {
      map.easeTo({ center: lngLat, zoom: Math.min(map.getZoom() + 2, CLOSE_UP) })
    } else {
      const [notice] = map.queryRenderedFeatures(point, { layers: ["notice-titles", "notices"] })
      if (notice) location.assign(`/notices/${notice.properties.number}?language=${language}`)
    }
  })
  for (const layer of ["clusters", "singles", "notice-titles", "notices"]) {
    map.on("mouseenter", layer, () => (map.getCanvas().style.cursor = "pointer"))
    map.on("mouseleave", layer, () => (map.getCanvas().style.cursor = ""))
  }
  for (const [name, layers] of Object.entries(SWITCHED)) {
    const tick = document.getElementById(`show-${name}`)
    const apply = () => {
      for (const layer of layers) map.setLayoutProperty(layer, "visibility", tick.checked ? "visible" : "none")
    }
    tick.addEventListener("change", apply)
    map.once("load", apply)
  }
}

/** Move the map so that a place lies beside the panel of a report; on a phone the panel is below the map. */
function bringIntoSight(camera) {
  map.easeTo({ ...camera, offset: [isWide() ? PANEL_PIXELS / 2 : 0, 0] })
}

async function goTo(slug, readList) {
  await learnGroups(slug)
  home = await tileJson(slug)
  if (!map) return readList()
  map.setPaintProperty("singles", "circle-color", colour(groups))
  map.setLayoutProperty("clusters", "icon-image", ringName(groups))
  map.getSource("reports").setTiles([tiles("reports", slug)])
  map.getSource("hotspots").setTiles([tiles("hotspots", slug)])
  map.getSource("notices").setTiles([tiles("notices", slug)])
  warmth.offer(groups)
  warmth.show()
  map.fitBounds(box(home), { padding: MARGIN })
}

async function start() {
  document.getElementById("legend-box").open = isWide()
  const [towns, everything] = await Promise.all([municipalities(), tileJson("")])
  home = everything
  const names = new Map(towns.map(({ slug, name }) => [slug, name]))
  selector.append(...towns.map(({ slug, name }) => element("option", { value: slug }, name)))
  await learnGroups(towns[0]?.slug)

  const told = { say, language, calendar: calendar(language), names }
  const { open } = panel({
    ...told,
    onChange: (number) => map?.getLayer("chosen") && map.setFilter("chosen", choice(number)),
  })
  const { read } = list({
    ...told,
    onChoose({ number, place }, from) {
      if (map) bringIntoSight({ center: place, zoom: Math.max(map.getZoom(), CLOSE_UP - 1) })
      open([number], from)
    },
  })
  const readList = () => trying(() => read(inView(), selector.value))

  map = draw()
  if (map) {
    furnish(open)
    warmth = heat({ map, say, language, whose: () => selector.value })
    warmth.offer(groups)
  }
  let settled
  map?.on("moveend", () => {
    clearTimeout(settled)
    settled = setTimeout(readList, SETTLE_MILLISECONDS)
  })
  selector.addEventListener("change", () => trying(() => goTo(selector.value, readList)))
  const refresh = () => {
    if (document.visibilityState !== "visible") return
    // Tiles that are still the same answer 304.
    if (map?.getSource("reports")) map.refreshTiles("reports")
    readList()
  }
  setInterval(refresh, REFRESH_MILLISECONDS)
  document.addEventListener("visibilitychange", refresh)
  // For the browser's console, and for tests that ask where a report is drawn.
  globalThis.lampione = { map, refresh }
  await readList()
}

/** The switch of the language keeps the place on the map. */
document.getElementById("language").addEventListener("click", (event) => {
  event.currentTarget.hash = location.hash
})

async function startUntilItWorks() {
  if (!(await trying(start))) setTimeout(startUntilItWorks, REFRESH_MILLISECONDS)
}
startUntilItWorks()
