/** What can lie over the background: one quantity at a time, with how to read it. */

import { cividis } from '../core/colours'
import { rgb } from '../core/raster'
import { histogram, massLevel, outlines, range, smooth, volume, type Grid } from '../core/grids'
import { entropy, mix } from '../core/support'
import { toScreen, widened, type Box, type Point, type View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import { FROM } from './dots'
import type { OverlayId } from './surface.svelte'

export interface Line {
  ring: Point[]
  colour: string
  width: number
  dash?: number[]
  label?: string
}

export interface Layer {
  /** A picture of a part of the plane, or of the latent plane, and where its places are on the one shown. */
  heat?: { picture: OffscreenCanvas; box: Box; place?: (at: Point) => Point }
  lines?: Line[]
  /** What the ends of the colour scale stand for, and the unit. */
  scale?: { ends: Point; unit: string; from?: number }
  /** Where it comes from. */
  note?: string
}

export interface Overlay {
  id: OverlayId
  title: string
  /** One sentence on how to read it. */
  sentence: string
  available: (explorer: Explorer) => boolean
  make: (explorer: Explorer) => Promise<Layer>
}

/** A field of the plane; a conditional decoder's were made as its first class. */
const onField = (name: string) => (e: Explorer): boolean =>
  e.source.has(name) &&
  e.manifest.field !== null &&
  !e.outdated &&
  e.planes.turned !== null &&
  e.networks.condition === 0

export const OVERLAYS: Overlay[] = [
  {
    id: 'density',
    title: 'Class density',
    sentence: 'Each class’s outlines hold 50 % and 90 % of its images.',
    available: (e) => e.points.count > 0 && !e.planes.snapshot,
    make: density,
  },
  {
    id: 'entropy',
    title: 'Confusion',
    sentence: 'Bright: the 50 nearest images are of many classes. Dark: they agree.',
    available: (e) => e.points.labels !== null && e.manifest.data.classes.length > 1,
    make: confusion,
  },
  {
    id: 'classifier',
    title: 'Predicted class',
    sentence: 'Strong colour: the prediction is confident. White lines: the decision boundary.',
    available: (e) => e.classifier.available,
    make: predicted,
  },
  {
    id: 'metric',
    title: 'Speed of change',
    sentence: 'Bright: a small step changes the image much (√det G of the decoder, log scale).',
    available: onField('metric'),
    make: async (e) => heatOfField(e, 'metric', volume(await e.source.floats('metric')), '', true),
  },
  {
    id: 'sigma',
    title: 'Decoder’s uncertainty',
    sentence: 'Bright: the decoder gives its pixels a wide σ here.',
    available: onField('sigma'),
    make: async (e) => heatOfField(e, 'sigma', await e.source.floats('sigma'), '', false),
  },
  {
    id: 'prior',
    title: 'Prior',
    sentence: 'Circles at 1, 2 and 3 σ of the prior: in a plane they hold 39, 86 and 99 % of it.',
    available: (e) => Boolean(e.manifest.model.prior?.standard_normal) && e.planes.plane.basis !== null,
    make: async (e) => ({ lines: priorCircles(e) }),
  },
  {
    id: 'error',
    title: 'Reconstruction error',
    sentence: 'Points are coloured by how badly the image is reconstructed: bright is worse.',
    available: (e) => e.source.has('errors') && !e.outdated && !e.planes.snapshot,
    make: async (e) => ({ scale: { ends: range(e.points.errors!), unit: 'MSE', from: FROM } }),
  },
]

export const availableOverlays = (explorer: Explorer): Overlay[] =>
  OVERLAYS.filter(({ available }) => available(explorer))

async function heatOfField(
  e: Explorer,
  name: string,
  values: Float32Array,
  unit: string,
  logarithmic: boolean,
): Promise<Layer> {
  const [rows, columns] = e.manifest.blobs[name].shape
  const { x, y } = e.manifest.field!
  const layer = heat({ rows, columns, values, box: { x, y } }, unit, logarithmic)
  return { ...layer, heat: { ...layer.heat!, place: e.planes.turned! } }
}

function heat(grid: Grid, unit: string, logarithmic = false): Layer {
  const shown = logarithmic ? grid.values.map(Math.log) : grid.values
  const [lo, hi] = range(shown)
  const picture = new OffscreenCanvas(grid.columns, grid.rows)
  const pixels = new ImageData(grid.columns, grid.rows)
  shown.forEach((value, i) =>
    pixels.data.set([...cividis((value - lo) / (hi - lo || 1)), feather(i, grid)], 4 * i),
  )
  picture.getContext('2d')!.putImageData(pixels, 0, 0)
  const ends: Point = logarithmic ? [Math.exp(lo), Math.exp(hi)] : [lo, hi]
  return { heat: { picture, box: grid.box }, scale: { ends, unit } }
}

/** Opacity of a cell, 0 … 255: the outermost cells fade out. */
function feather(cell: number, { columns, rows }: Grid): number {
  const column = cell % columns
  const row = Math.floor(cell / columns)
  const edge = Math.min(column, row, columns - 1 - column, rows - 1 - row) + 1
  return 255 * Math.min(1, edge / (0.08 * columns))
}

const SIDE = 128

async function density(e: Explorer): Promise<Layer> {
  const { labels } = e.points
  const classes = e.manifest.data.classes.length || 1
  const lines: Line[] = []
  for (let label = 0; label < classes; label++) {
    const counts = histogram(e.planes.plane.positions, e.planes.home, SIDE, (n) => !labels || labels[n] === label)
    const grid = smooth(counts, 1.6)
    const colour = e.classes.colours[label] ?? '#c8c8c8'
    for (const [share, width] of [[0.9, 1], [0.5, 2]])
      for (const ring of outlines(grid, massLevel(grid.values, share))) lines.push({ ring, colour, width })
    await breath()
  }
  return { lines }
}

const COARSE = 56

async function confusion(e: Explorer): Promise<Layer> {
  const values = new Float32Array(COARSE * COARSE)
  const box = widened(e.planes.home, 0.12)
  const { x, y } = box
  for (let row = 0; row < COARSE; row++) {
    const v = y[1] - ((row + 0.5) / COARSE) * (y[1] - y[0])
    for (let column = 0; column < COARSE; column++) {
      const u = x[0] + ((column + 0.5) / COARSE) * (x[1] - x[0])
      values[row * COARSE + column] = entropy(mix(e.planes.index.nearest(u, v, 50), e.points.labels))
    }
    if (row % 4 === 0) await breath()
  }
  return heat({ rows: COARSE, columns: COARSE, values, box }, 'nats')
}

async function predicted(e: Explorer): Promise<Layer> {
  const predictions = await e.classifier.load()
  const { labels, shares, side, box } = predictions
  const { colours } = e.classes
  const chance = 1 / colours.length
  const picture = new OffscreenCanvas(side, side)
  const pixels = new ImageData(side, side)
  for (let i = 0; i < side * side; i++) {
    const sure = Math.max(0, (shares[i] - chance) / (1 - chance))
    pixels.data.set([...rgb(colours[labels[i]]), 255 * (0.1 + 0.9 * sure)], 4 * i)
  }
  picture.getContext('2d')!.putImageData(pixels, 0, 0)
  const place = e.planes.turned ?? undefined
  const lines = predictions.boundaries(colours.length).map((ring): Line => ({
    ring: place ? ring.map(place) : ring,
    colour: '#ffffff',
    width: 1.25,
  }))
  return { heat: { picture, box, place }, lines, note: `Predicted by ${e.manifest.classifier!.by}.` }
}

/** Lets the page draw a frame before going on. */
const breath = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

function priorCircles(e: Explorer): Line[] {
  const centre = e.planes.ofLatent(new Float32Array(e.points.D)) ?? [0, 0]
  return [1, 2, 3].map((radius) => ({
    ring: Array.from({ length: 97 }, (_, i): Point => [
      centre[0] + radius * Math.cos((i * Math.PI) / 48),
      centre[1] + radius * Math.sin((i * Math.PI) / 48),
    ]),
    colour: '#ffffff',
    width: 1.25,
    dash: [6, 4],
    label: `${radius} σ`,
  }))
}

export function drawLayer(context: CanvasRenderingContext2D, view: View, layer: Layer): void {
  context.clearRect(0, 0, view.width, view.height)
  if (layer.heat) {
    const { picture, box, place = (at: Point): Point => at } = layer.heat
    const [[left, right], [bottom, top]] = [box.x, box.y]
    const [corner, along, down] = ([[left, top], [right, top], [left, bottom]] as Point[]).map((at) => toScreen(view, ...place(at)))
    const step = ([x, y]: Point, count: number): Point => [(x - corner[0]) / count, (y - corner[1]) / count]
    context.save()
    context.transform(...step(along, picture.width), ...step(down, picture.height), ...corner)
    context.globalAlpha = 0.82
    context.imageSmoothingQuality = 'high'
    context.drawImage(picture, 0, 0)
    context.restore()
  }
  for (const line of layer.lines ?? []) drawLine(context, view, line)
}

function drawLine(context: CanvasRenderingContext2D, view: View, line: Line): void {
  const at = (place: Point): Point => toScreen(view, ...place)
  context.beginPath()
  line.ring.forEach((point, i) => (i ? context.lineTo(...at(point)) : context.moveTo(...at(point))))
  context.setLineDash(line.dash ?? [])
  context.lineWidth = line.width + 2
  context.strokeStyle = 'rgb(0 0 0 / 0.55)'
  context.stroke()
  context.lineWidth = line.width
  context.strokeStyle = line.colour
  context.stroke()
  context.setLineDash([])
  if (!line.label) return
  context.font = '600 12px system-ui, sans-serif'
  context.fillStyle = line.colour
  const [x, y] = at(line.ring[12])
  context.fillText(line.label, x + 5, y - 5)
}
