/** The map's top layer: real images, names, pins with their posteriors. */

import type { Point, View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import type { Images } from './images'
import type { Pin } from '../state/pins.svelte'
import { placedNames } from './names'
import { INK, outlined, ring, written } from './pen'

type Context = CanvasRenderingContext2D

export function drawMarks(context: Context, view: View, explorer: Explorer, images: Images, positions: Float32Array): void {
  context.clearRect(0, 0, view.width, view.height)
  images.draw(context, view)
  explorer.surface.draw(context, view, 'below')
  if (explorer.surface.layers.labels) drawNames(context, view, explorer, positions)
  explorer.surface.draw(context, view, 'above')
  drawSamples(context, explorer)
  for (const pin of explorer.pins.list) drawPin(context, explorer, pin)
  drawEnds(context, explorer)
}

function drawNames(context: Context, view: View, e: Explorer, positions: Float32Array): void {
  const { highlighted } = e.classes
  for (const { label, text, colour, x, y } of placedNames(context, view, e, positions)) {
    context.globalAlpha = highlighted === null || highlighted === label ? 1 : 0.35
    written(context, text, x, y, colour)
  }
  context.globalAlpha = 1
}

function drawPin(context: Context, e: Explorer, pin: Pin): void {
  const at = pin.index === null ? e.planes.ofLatent(pin.z) : e.planes.place(pin.index)
  if (!at) return
  const current = pin.id === e.pins.current
  if (current) drawSpread(context, e, pin, at)
  const [x, y] = e.viewport.toScreen(...at)
  ring(context, x, y, current ? 8 : 6, current ? '#ffffff' : '#c9d1da', 2)
}

/** The posterior: ellipses at 1 and 2 standard deviations, or regions that hold as much of any other. */
function drawSpread(context: Context, e: Explorer, pin: Pin, at: Point): void {
  const spread = e.planes.spread(pin.sigma)
  if (!spread) return drawRegions(context, e, pin)
  const [x, y] = e.viewport.toScreen(...at)
  for (const sigmas of [1, 2]) {
    const [a, b] = [spread.major, spread.minor].map((axis) => sigmas * axis * e.viewport.view.scale)
    context.beginPath()
    context.ellipse(x, y, a, b, -spread.angle, 0, 2 * Math.PI)
    outlined(context, '#ffffff', 1.25)
  }
}

function drawRegions(context: Context, e: Explorer, pin: Pin): void {
  for (const ring of e.massOf(pin.index)) {
    context.beginPath()
    for (const place of ring) context.lineTo(...e.viewport.toScreen(...place))
    context.closePath()
    outlined(context, '#ffffff', 1.25)
  }
}

function drawEnds(context: Context, e: Explorer): void {
  for (const [name, z] of Object.entries(e.ends)) {
    const at = z && e.planes.ofLatent(z)
    if (!at) continue
    const [x, y] = e.viewport.toScreen(...at)
    badge(context, name.toUpperCase(), x, y)
  }
}

/** Radius of the disc with the letter of an end, in css pixels. */
export const BADGE = 10

function badge(context: Context, text: string, x: number, y: number): void {
  context.beginPath()
  context.arc(x, y, BADGE, 0, 2 * Math.PI)
  context.fillStyle = '#ffffff'
  context.fill()
  outlined(context, INK, 1.5)
  context.font = '700 12px system-ui, sans-serif'
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.fillStyle = INK
  context.fillText(text, x, y + 0.5)
}

function drawSamples(context: Context, e: Explorer): void {
  for (const { z, prior } of e.samples) {
    const at = e.planes.ofLatent(z)
    if (!at) continue
    const [x, y] = e.viewport.toScreen(...at)
    context.beginPath()
    if (prior) context.rect(x - 4.5, y - 4.5, 9, 9)
    else context.arc(x, y, 5, 0, 2 * Math.PI)
    context.fillStyle = prior ? '#ffffff' : INK
    context.fill()
    outlined(context, prior ? INK : '#ffffff', 1.75)
  }
}
