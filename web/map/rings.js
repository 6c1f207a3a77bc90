// A cluster's picture: a white disc in a ring whose arcs show the shares of the category groups.

const SIZE = 96
const RING = 13
const SHARES = 24
const PREFIX = "ring"
export const RING_PIXELS = SIZE / 2

/** The style expression that names a cluster's ring, from the counts the tile gives for each group. */
export const ringName = (groups) => [
  "concat",
  PREFIX,
  ...groups.flatMap(({ slug }) => [
    "|",
    // Rounded shares, so that there are few different rings, whatever the counts.
    ["to-string", ["ceil", ["/", ["*", SHARES, ["coalesce", ["get", slug], 0]], ["get", "count"]]]],
  ]),
]

/** Have the map draw each ring when it first needs it. `groups` may grow at its end, so that older names stay right. */
export function drawRings(map, groups) {
  map.setMissingStyleImageResolver(async (id) => {
    if (!id.startsWith(PREFIX) || map.hasImage(id)) return
    const shares = id.split("|").slice(1).map(Number)
    map.addImage(id, ring(shares, groups), { pixelRatio: 2 })
  })
}

function ring(shares, groups) {
  const canvas = new OffscreenCanvas(SIZE, SIZE)
  const pen = canvas.getContext("2d")
  const centre = SIZE / 2
  const outer = centre - 3
  disc(pen, centre, centre - 1, "rgba(23,50,77,.55)")
  disc(pen, centre, outer, "#fff")
  const whole = shares.reduce((sum, share) => sum + share, 0)
  let from = -Math.PI / 2
  shares.forEach((share, index) => {
    if (!share) return
    const upto = from + (2 * Math.PI * share) / whole
    pen.beginPath()
    pen.strokeStyle = groups[index].colour
    pen.lineWidth = RING
    pen.arc(centre, centre, outer - RING / 2, from, upto)
    pen.stroke()
    from = upto
  })
  return pen.getImageData(0, 0, SIZE, SIZE)
}

function disc(pen, centre, radius, colour) {
  pen.beginPath()
  pen.fillStyle = colour
  pen.arc(centre, centre, radius, 0, 2 * Math.PI)
  pen.fill()
}
