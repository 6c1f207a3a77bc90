// How the map looks: no basemap, no glyph server, only what this installation knows.

import { RING_PIXELS, ringName } from "./rings.js"
import { tiles } from "./server.js"

const INK = "#17324d"
// Fonts of the visitor's own device. The map takes the weight from the first name, which need not exist.
const FONT = ["Titillium Web", "Noto Sans", "DejaVu Sans", "Arial"]
const BOLD = ["Sans Bold", ...FONT]
const UNKNOWN_GROUP = "#616161"
const NOTICE = "#7a1f5c"

/** Layers that the switches of the page show and hide. */
export const SWITCHED = {
  reports: ["clusters", "singles", "chosen"],
  zones: ["corridors", "areas", "area-names", "corridor-names"],
  notices: ["notices", "notice-borders", "notice-titles"],
  hotspots: ["hotspots", "hotspot-borders"],
  heat: ["heat"],
}

const isCluster = ["!", ["has", "number"]]
const isSingle = ["has", "number"]
const isArea = ["==", ["get", "kind"], "areas"]
const isMunicipality = ["==", ["get", "kind"], "municipality"]
const isCorridor = ["==", ["get", "kind"], "corridors"]
/** A cluster's width in pixels: it grows with the digits of its count, so that it hides little of its neighbours. */
const diameter = ["interpolate", ["linear"], ["log10", ["get", "count"]], 0, 24, 1, 32, 2, 40, 4, 48]
const hidden = { visibility: "none" }
const halo = { "text-halo-color": "#fff", "text-halo-width": 1.6 }

/** The whole style. `deepest` is the last zoom with report tiles of its own: closer up they are enlarged. */
export const style = (groups, slug, deepest) => ({
  version: 8,
  sources: {
    zones: { type: "vector", tiles: [tiles("zones")], maxzoom: 12 },
    reports: { type: "vector", tiles: [tiles("reports", slug)], maxzoom: deepest },
    // Asked for only once they are shown.
    heat: { type: "vector", tiles: [tiles("heat", slug)], maxzoom: deepest },
    hotspots: { type: "vector", tiles: [tiles("hotspots", slug)], maxzoom: 12 },
    notices: { type: "vector", tiles: [tiles("notices", slug)], minzoom: 11, maxzoom: 14 },
  },
  layers: [
    { id: "ground", type: "background", paint: { "background-color": "#dfe6ec" } },
    {
      id: "municipalities", type: "fill", source: "zones", "source-layer": "municipalities",
      paint: { "fill-color": "#fbfaf7", "fill-antialias": false },
    },
    {
      id: "corridors", type: "line", source: "zones", "source-layer": "zones", filter: isCorridor,
      layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": "#d9b45b", "line-width": ["interpolate", ["linear"], ["zoom"], 8, 1, 14, 5, 17, 14] },
    },
    {
      id: "areas", type: "line", source: "zones", "source-layer": "zones", filter: isArea,
      paint: { "line-color": "#8296a8", "line-width": ["interpolate", ["linear"], ["zoom"], 8, 0.3, 12, 0.9, 16, 1.6] },
    },
    {
      id: "heat", type: "heatmap", source: "heat", "source-layer": "heat", layout: hidden,
      paint: {
        // The tile's cells are 32 pixels wide: each reaches well over its neighbours, so that no grid shows.
        "heatmap-weight": ["interpolate", ["linear"], ["log10", ["+", 1, ["get", "count"]]], 0, 0, 3.5, 1],
        "heatmap-intensity": ["interpolate", ["linear"], ["zoom"], 6, 0.35, 14, 0.8], "heatmap-radius": 64, "heatmap-opacity": 0.75,
        "heatmap-color": [
          "interpolate", ["linear"], ["heatmap-density"],
          0, "rgba(255,243,190,0)", 0.15, "#ffeda0", 0.4, "#feb24c", 0.7, "#f03b20", 1, "#800026",
        ],
      },
    },
    {
      id: "hotspots", type: "fill", source: "hotspots", "source-layer": "hotspots", layout: hidden,
      paint: { "fill-color": ["interpolate", ["linear"], ["get", "z"], 2, "#fdd49e", 5, "#e34a33", 9, "#7f0000"], "fill-opacity": 0.55 },
    },
    {
      id: "hotspot-borders", type: "line", source: "hotspots", "source-layer": "hotspots", layout: hidden,
      paint: { "line-color": "#7f0000", "line-width": 0.6 },
    },
    {
      id: "notices", type: "fill", source: "notices", "source-layer": "notices", minzoom: 11,
      paint: { "fill-color": NOTICE, "fill-opacity": 0.12 },
    },
    {
      id: "notice-borders", type: "line", source: "notices", "source-layer": "notices", minzoom: 11,
      paint: { "line-color": NOTICE, "line-width": 2, "line-dasharray": [3, 2] },
    },
    {
      id: "boundaries", type: "line", source: "zones", "source-layer": "municipalities",
      paint: { "line-color": "#3d5a77", "line-width": ["interpolate", ["linear"], ["zoom"], 7, 0.8, 14, 2.4] },
    },
    {
      id: "corridor-names", type: "symbol", source: "zones", "source-layer": "zones", filter: isCorridor, minzoom: 11.5,
      layout: {
        "symbol-placement": "line", "symbol-spacing": 400, "text-field": ["get", "name"], "text-font": FONT, "text-size": 11,
      },
      paint: { "text-color": "#6b5310", ...halo },
    },
    {
      id: "area-names", type: "symbol", source: "zones", "source-layer": "names", filter: isArea, minzoom: 11.5,
      layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": 12, "text-max-width": 8, "text-padding": 6 },
      paint: { "text-color": "#4a6076", ...halo },
    },
    {
      id: "municipality-names", type: "symbol", source: "zones", "source-layer": "names", filter: isMunicipality, maxzoom: 12.5,
      layout: {
        "text-field": ["get", "name"], "text-font": BOLD, "text-max-width": 8, "text-padding": 4,
        // Beside the clusters rather than under them.
        "text-variable-anchor": ["center", "top", "bottom", "left", "right"], "text-radial-offset": 1.3,
        "text-size": ["interpolate", ["linear"], ["zoom"], 7, 11, 11, 16],
      },
      paint: { "text-color": INK, ...halo },
    },
    {
      id: "notice-titles", type: "symbol", source: "notices", "source-layer": "titles", minzoom: 12,
      layout: { "text-field": noticeTitle(), "text-font": BOLD, "text-size": 12, "text-max-width": 12, "text-padding": 4 },
      paint: { "text-color": NOTICE, ...halo },
    },
    {
      id: "chosen", type: "circle", source: "reports", "source-layer": "reports", filter: choice(""),
      paint: { "circle-radius": 16, "circle-color": "rgba(0,102,204,.2)", "circle-stroke-color": "#06c", "circle-stroke-width": 2.5 },
    },
    {
      id: "singles", type: "circle", source: "reports", "source-layer": "reports", filter: isSingle,
      paint: {
        "circle-color": colour(groups), "circle-radius": ["interpolate", ["linear"], ["zoom"], 14, 8, 18, 11],
        "circle-stroke-color": "#fff", "circle-stroke-width": 2,
      },
    },
    {
      id: "clusters", type: "symbol", source: "reports", "source-layer": "reports", filter: isCluster,
      layout: {
        "icon-image": ringName(groups), "icon-size": ["/", diameter, RING_PIXELS], "icon-allow-overlap": true,
        "text-field": ["to-string", ["get", "count"]], "text-font": BOLD, "text-allow-overlap": true,
        "text-size": ["interpolate", ["linear"], ["get", "count"], 1, 11, 100, 14],
        "symbol-sort-key": ["get", "count"],
      },
      paint: { "text-color": INK },
    },
  ],
})

/** A notice's title in the language of the page, or in the one there is. */
function noticeTitle() {
  const other = document.documentElement.lang === "en" ? "it" : "en"
  const [first, second] = [document.documentElement.lang, other].map((language) => ["get", `title_${language}`])
  return ["case", ["==", first, ""], second, first]
}

/** The filter that finds the report shown in the panel. */
export function choice(number) {
  return ["==", ["get", "number"], number]
}

/** The style expression for the colour of a single report. */
export function colour(groups) {
  if (!groups.length) return UNKNOWN_GROUP
  return ["match", ["get", "group"], ...groups.flatMap((group) => [group.slug, group.colour]), UNKNOWN_GROUP]
}
