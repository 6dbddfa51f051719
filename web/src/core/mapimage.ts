/** The map as a picture file: PNG with its legend, and SVG whose axes, labels and regions stay vectors. */

import { toScreen, visible, type View } from './view'

export interface Legend {
  title: string
  entries: { name: string; colour: string }[]
}

/** A region's outline and name as drawn on the map, in plane coordinates. */
export interface Outline {
  name: string
  points: readonly (readonly [number, number])[]
}

/** Everything an SVG of the map is made of. */
export interface MapPicture {
  view: View
  axes: readonly [string, string]
  legend: Legend
  outlines: readonly Outline[]
  labels: readonly { text: string; at: readonly [number, number] }[]
  /** Ways of a morph, and whether each is the one that is shown. */
  ways: readonly { path: readonly (readonly [number, number])[]; dash: readonly number[]; chosen: boolean }[]
  /** Ends of a morph, pins: a letter or nothing. */
  marks: readonly { text: string; at: readonly [number, number] }[]
  /** Decoded background, and the points too where there are many, as one data: address. */
  raster: string | null
  /** Points as vectors: where there are few enough. */
  points: readonly { at: readonly [number, number]; colour: string }[]
}

/** More points than this go into the raster: an SVG of more is slow everywhere. */
export const VECTOR_POINTS = 5000

/** Round numbers about `count` to a range: 1, 2 or 5 times a power of ten apart. */
export function ticks(low: number, high: number, count = 6): number[] {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10)
  const first = Math.ceil(low / step)
  const last = Math.floor(high / step)
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(6)),
  )
}

/** A text as it stands in XML. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[^\P{Cc}\t\n\r]/gu, '')

const MARGIN = { left: 48, bottom: 40, top: 34, legend: 150 }

/** The map as SVG. */
export function toSVG({
  view,
  axes,
  legend,
  outlines,
  labels,
  ways,
  marks,
  raster,
  points,
}: MapPicture): string {
  const { width, height } = view
  const right = legend.entries.length ? MARGIN.legend : 12
  const at = ([u, v]: readonly [number, number]): [number, number] => toScreen(view, u, v)
  const image = raster ? `<image href="${raster}" width="${width}" height="${height}"/>` : ''
  const parts = [
    `<clipPath id="window"><rect width="${width}" height="${height}"/></clipPath>`,
    `<g clip-path="url(#window)">${image}`,
    ...points.map(({ at: place, colour }) => circle(at(place), 1.6, colour)),
    ...outlines.map((outline) => region(outline, at)),
    ...labels.map(({ text, at: place }) => label(text, at(place))),
    ...ways.map((way) => line(way, at)),
    ...marks.map(({ text, at: place }) => mark(text, at(place))),
    '</g>',
    ...axisMarks(view, axes),
    ...legend.entries.map((entry, i) => legendEntry(entry, width + 14, 8 + 20 * i)),
    words(legend.title, 0, -14, 'font-size="15" font-weight="600"'),
  ]
  const box = `${-MARGIN.left} ${-MARGIN.top} ${width + MARGIN.left + right} ${height + MARGIN.top + MARGIN.bottom}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" font-family="system-ui, sans-serif" font-size="12" fill="#111418"><rect x="${-MARGIN.left}" y="${-MARGIN.top}" width="100%" height="100%" fill="#fff"/>${parts.join('\n')}</svg>\n`
}

const one = (value: number): string => String(Number(value.toFixed(1)))

const circle = ([x, y]: readonly [number, number], radius: number, colour: string): string =>
  `<circle cx="${one(x)}" cy="${one(y)}" r="${radius}" fill="${escaped(colour)}"/>`

const words = (text: string, x: number, y: number, more = ''): string =>
  `<text x="${one(x)}" y="${one(y)}" ${more}>${escaped(text)}</text>`

/** Text on the picture, with an edge that keeps it legible on anything. */
const label = (text: string, [x, y]: readonly [number, number]): string =>
  words(
    text,
    x,
    y + 4.5,
    'text-anchor="middle" font-size="13" fill="#fff" stroke="#111418" stroke-width="3" paint-order="stroke" font-weight="600"',
  )

/** A way as on the map: a dark edge, the pattern in white over it. */
function line(
  { path, dash, chosen }: MapPicture['ways'][number],
  at: (place: readonly [number, number]) => [number, number],
): string {
  const points = path.map((place) => at(place).map(one).join(',')).join(' ')
  const width = chosen ? 3 : 1.8
  const drawn = (colour: string, wide: number, pattern: string): string =>
    `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="${wide}" stroke-linecap="round"${pattern}/>`
  return drawn('#111418', width + 2.5, '') + drawn('#fff', width, dash.length ? ` stroke-dasharray="${dash.join(' ')}"` : '')
}

/** A white badge with a letter in it; without one, a ring. */
function mark(text: string, [x, y]: readonly [number, number]): string {
  const [radius, fill] = text ? [10, '#fff'] : [7, 'none']
  const edge = `<circle cx="${one(x)}" cy="${one(y)}" r="${radius}" fill="${fill}" stroke="#111418" stroke-width="4"/>`
  const ring = `<circle cx="${one(x)}" cy="${one(y)}" r="${radius}" fill="${fill}" stroke="#fff" stroke-width="2"/>`
  return edge + ring + (text ? words(text, x, y + 4, 'text-anchor="middle" font-weight="700"') : '')
}

function region(
  { name, points }: Outline,
  at: (place: readonly [number, number]) => [number, number],
): string {
  const corners = points.map(at)
  const [x, y] = [0, 1].map(
    (i) => corners.reduce((sum, corner) => sum + corner[i], 0) / corners.length,
  )
  const outline = corners.map((corner) => corner.map(one).join(',')).join(' ')
  return `<polygon points="${outline}" fill="#fff" fill-opacity="0.18" stroke="#fff" stroke-width="1.5"/>${label(name, [x, y])}`
}

function axisMarks(view: View, [across, up]: readonly [string, string]): string[] {
  const { x, y } = visible(view)
  const { width, height } = view
  return [
    `<rect width="${width}" height="${height}" fill="none" stroke="#111418"/>`,
    ...ticks(...x).map((u) =>
      words(String(u), toScreen(view, u, 0)[0], height + 16, 'text-anchor="middle"'),
    ),
    ...ticks(...y).map((v) =>
      words(String(v), -6, toScreen(view, 0, v)[1] + 4, 'text-anchor="end"'),
    ),
    words(across, width / 2, height + 34, 'text-anchor="middle"'),
    words(up, -height / 2, -36, 'text-anchor="middle" transform="rotate(-90)"'),
  ]
}

const legendEntry = ({ name, colour }: Legend['entries'][number], x: number, y: number): string =>
  `<rect x="${x}" y="${y}" width="12" height="12" fill="${escaped(colour)}"/>${words(name, x + 18, y + 10)}`

/** The map's pixels with a title above and the legend beside, at `scale` device pixels per css pixel. */
export function withLegend(
  map: CanvasImageSource & { width: number; height: number },
  legend: Legend,
  scale: number,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  const right = legend.entries.length ? MARGIN.legend * scale : 0
  canvas.width = map.width + right
  canvas.height = map.height + MARGIN.top * scale
  const context = canvas.getContext('2d')!
  context.fillStyle = '#fff'
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(map, 0, MARGIN.top * scale)
  context.scale(scale, scale)
  context.fillStyle = '#111418'
  context.font = '600 15px system-ui, sans-serif'
  context.fillText(legend.title, 8, 22)
  context.font = '12px system-ui, sans-serif'
  legend.entries.forEach(({ name, colour }, i) => {
    const [x, y] = [map.width / scale + 14, MARGIN.top + 8 + 20 * i]
    context.fillStyle = colour
    context.fillRect(x, y, 12, 12)
    context.fillStyle = '#111418'
    context.fillText(name, x + 18, y + 10, MARGIN.legend - 36)
  })
  return canvas
}
