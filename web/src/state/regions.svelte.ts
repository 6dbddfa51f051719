/** What is selected on the map, and the regions that have a name. */

import {
  begin,
  commit,
  indices,
  rectangle,
  redo,
  selected,
  simplified,
  undo,
  type Operation,
  type Point,
  type Stroke,
} from '../core/lasso'
import { checkedRegions } from '../core/link'
import { fit, sampleGaussian, statistics, type Region, type Statistics } from '../core/regions'
import { mean, stack, take } from '../core/rows'
import { recall, remember } from '../core/storage'
import type { View } from '../core/view'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'

export type Named = Region<Stroke>
export type Shape = 'lasso' | 'rectangle'

/** The pictures of a selection. */
export interface Pictures {
  mean: Float32Array
  /** What the mean is of. */
  meanOf: string
  centroid: Float32Array
  medoid: Float32Array
  atypical: Float32Array[]
  samples: Float32Array[]
}

/** Images that a mean is taken of: more change nothing one can see. */
const MEAN_OF = 300
const SAMPLES = 8
const ODD = 6
/** Selected points are marked one by one up to so many: more would hide the map. */
const MARKED = 1500

export class Regions {
  shape = $state<Shape>('lasso')
  operation = $state<Operation>('replace')
  strokes = $state.raw(begin<readonly Stroke[]>([]))
  named = $state.raw<readonly Named[]>([])
  pictures = $state.raw<Pictures | null>(null)
  /** The regions that the attribute slider goes from and to, by position in `named`. */
  from = $state(0)
  to = $state(1)
  private draft: Point[] | null = null
  private seed = 1
  private run = 0

  constructor(private readonly explorer: Explorer) {}

  // -- the selection ----------------------------------------------------------------------------

  readonly members: Uint32Array = $derived.by(() => {
    const { plane, points, shown } = this.explorer
    const all = indices(selected(this.strokes.now, plane.positions))
    const { labels } = points
    return labels && shown.includes(false) ? all.filter((i) => shown[labels[i]]) : all
  })

  readonly found: Statistics | null = $derived.by(() => {
    const { points } = this.explorer
    return statistics(points.latents, points.D, this.members, points.labels ?? undefined, 500)
  })

  /** The most atypical members: those whose own images the page holds, if any. */
  readonly odd: number[] = $derived.by(() => {
    const { originals } = this.explorer
    const all = this.found?.atypical ?? []
    const held = originals ? all.filter((i) => originals.has(i)) : []
    return (held.length ? held : all).slice(0, ODD)
  })

  put(stroke: Stroke): void {
    const before = stroke.operation === 'replace' ? [] : this.strokes.now
    this.strokes = commit(this.strokes, [...before, stroke])
    this.explorer.redraw()
  }

  clear(): void {
    if (this.strokes.now.length) this.strokes = commit(this.strokes, [])
    this.draft = null
    this.explorer.redraw()
  }

  undo(): void {
    this.strokes = undo(this.strokes)
    this.explorer.redraw()
  }

  redo(): void {
    this.strokes = redo(this.strokes)
    this.explorer.redraw()
  }

  /** A circle about a place of the plane, for those who do not draw. */
  circle([u, v]: Point, radius: number): void {
    const corner = (i: number): Point => [
      u + radius * Math.cos((i * Math.PI) / 24),
      v + radius * Math.sin((i * Math.PI) / 24),
    ]
    this.put({
      operation: this.operation,
      outline: Array.from({ length: 48 }, (_, i) => corner(i)),
    })
  }

  /** Decodes what the selection looks like; a newer call overtakes an older one. */
  async look(): Promise<void> {
    const run = ++this.run
    const { found, members, odd, explorer } = this
    this.pictures = null
    if (!found || explorer.engineState !== 'ready') return
    const { points } = explorer
    const gaussian = fit(take(points.latents, points.D, members), points.D)
    const samples = sampleGaussian(gaussian, this.seed, SAMPLES)
    const [average, centroid, medoid, atypical, drawn] = await Promise.all([
      this.meanOf(members),
      explorer.decode(explorer.points.codebook?.snap(found.centroid) ?? found.centroid),
      this.imageOf(found.medoid),
      Promise.all(odd.map((i) => this.imageOf(i))),
      Promise.all(
        Array.from({ length: SAMPLES }, (_, i) =>
          explorer.decode(samples.slice(i * points.D, (i + 1) * points.D)),
        ),
      ),
    ])
    if (run !== this.run) return
    this.pictures = { ...average, centroid, medoid, atypical, samples: drawn }
  }

  resample(): void {
    this.seed++
    void this.look()
  }

  /** The image itself where the page holds it, otherwise its reconstruction. */
  async imageOf(index: number): Promise<Float32Array> {
    const { explorer } = this
    return (await explorer.original(index)) ?? (await explorer.reconstruction(index))
  }

  private async meanOf(members: Uint32Array): Promise<{ mean: Float32Array; meanOf: string }> {
    const { originals, points, decode } = this.explorer
    const held = originals ? members.filter((i) => originals.has(i)) : new Uint32Array()
    const some = spread(held.length ? held : members, MEAN_OF)
    const count = some.length < members.length ? `${some.length} of them` : 'all'
    if (held.length) {
      const images = Array.from(some, (i) => originals!.pixels(i)!)
      return { mean: mean(stack(images), images[0].length), meanOf: `images, ${count}` }
    }
    const images = await decode(take(points.latents, points.D, some))
    return { mean: mean(images, images.length / some.length), meanOf: `reconstructions, ${count}` }
  }

  // -- regions with a name ----------------------------------------------------------------------

  name(name: string): void {
    const { strokes, explorer } = this
    const others = this.named.filter((region) => region.name !== name)
    this.named = [...others, { name, map: explorer.plane.id, strokes: [...strokes.now] }]
    this.keep()
  }

  remove(at: number): void {
    this.named = this.named.toSpliced(at, 1)
    this.keep()
  }

  /** Selects what a region holds, on the map where it was drawn. */
  recall(region: Named): void {
    const plane = this.explorer.planeOf(region.map)
    if (plane && plane !== this.explorer.plane) this.explorer.usePlane(plane)
    this.strokes = commit(this.strokes, region.strokes)
    this.explorer.redraw()
  }

  statisticsOf(region: Named | undefined): Statistics | null {
    const { points } = this.explorer
    const plane = region && this.explorer.planeOf(region.map)
    if (!plane) return null
    const members = indices(selected(region.strokes, plane.positions))
    return statistics(points.latents, points.D, members, points.labels ?? undefined)
  }

  /** Takes regions from a link, a saved copy or the run. */
  adopt(regions: unknown): void {
    const news = checkedRegions(regions)
    const names = new Set(news.map(({ name }) => name))
    this.named = [...this.named.filter(({ name }) => !names.has(name)), ...news]
    this.explorer.redraw()
  }

  /** Keeps the regions where this page can: the run when live, this browser otherwise. */
  private keep(): void {
    this.explorer.redraw()
    if (this.explorer.manifest.live) void this.write()
    else remember(this.key, this.named)
  }

  private async write(): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ regions: this.named })
    const answer = await fetch('regions', { method: 'PUT', headers, body }).catch(() => null)
    if (answer?.ok) return
    const text = 'The regions could not be written into the run: its server does not answer.'
    this.explorer.notice = { tone: 'warning', text }
  }

  /** Brings back what the run, or this browser, kept. */
  async restore(): Promise<void> {
    if (this.explorer.manifest.live) {
      const answer = await fetch('regions').catch(() => null)
      if (answer?.ok) this.adopt(((await answer.json()) as { regions?: unknown }).regions)
      return
    }
    this.adopt(recall(this.key))
  }

  private get key(): string {
    const { run, created } = this.explorer.manifest
    return `vaescape regions ${run} ${created}`
  }

  // -- drawing ----------------------------------------------------------------------------------

  /** The pointer's tool while the lasso is chosen. */
  readonly tool = {
    cursor: 'crosshair',
    down: (at: Point, event: PointerEvent): boolean => {
      this.draft = event.isPrimary ? [at] : null
      if (!event.isPrimary) return false
      this.current = {
        shape: event.altKey ? 'rectangle' : this.shape,
        operation: operationOf(event, this.operation),
      }
      return true
    },
    move: (at: Point): void => {
      if (!this.draft) return
      this.draft = this.current.shape === 'rectangle' ? [this.draft[0], at] : [...this.draft, at]
      this.explorer.redraw()
    },
    up: (): void => {
      const outline = this.outline()
      this.draft = null
      if (outline.length > 2) this.put({ operation: this.current.operation, outline })
      else this.explorer.redraw()
    },
  }
  private current: { shape: Shape; operation: Operation } = { shape: 'lasso', operation: 'replace' }

  /** What is drawn so far, with the points a screen can tell apart. */
  private outline(): Point[] {
    if (!this.draft || this.draft.length < 2) return []
    if (this.current.shape === 'rectangle') return rectangle(this.draft[0], this.draft[1])
    return simplified(this.draft, 0.8 / this.explorer.view.scale)
  }

  draw = (context: CanvasRenderingContext2D, view: View): void => {
    const here = this.named.filter(({ map }) => map === this.explorer.plane.id)
    for (const region of here) this.fill(context, view, region.strokes, 0.16)
    this.fill(context, view, this.strokes.now, 0.2)
    this.mark(context)
    for (const region of here) this.label(context, region)
    const draft = this.outline()
    if (draft.length > 1) this.trace(context, draft, [5, 4])
  }

  private trace(
    context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
    outline: readonly Point[],
    dash: number[],
  ): void {
    this.path(context, outline)
    context.setLineDash([])
    context.lineWidth = 3.5
    context.strokeStyle = 'rgb(0 0 0 / 0.7)'
    context.stroke()
    context.setLineDash(dash)
    context.lineWidth = 1.75
    context.strokeStyle = '#ffffff'
    context.stroke()
    context.setLineDash([])
  }

  private path(
    context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
    outline: readonly Point[],
  ): void {
    context.beginPath()
    for (const [u, v] of outline) context.lineTo(...this.explorer.toScreen(u, v))
    context.closePath()
  }

  /** The strokes as one shape: what is taken away is cut out, line and all. */
  private fill(
    context: CanvasRenderingContext2D,
    view: View,
    strokes: readonly Stroke[],
    alpha: number,
  ): void {
    if (!strokes.length) return
    const density = context.getTransform().a
    const sheet = new OffscreenCanvas(view.width * density, view.height * density)
    const on = sheet.getContext('2d')!
    on.scale(density, density)
    for (const { operation, outline } of strokes) {
      on.globalCompositeOperation = operation === 'subtract' ? 'destination-out' : 'source-over'
      this.path(on, outline)
      on.fillStyle = operation === 'subtract' ? '#000' : `rgb(255 255 255 / ${alpha})`
      on.fill()
      if (operation !== 'subtract') this.trace(on, outline, [])
    }
    context.drawImage(sheet, 0, 0, view.width, view.height)
  }

  /** Marks the selected points. */
  private mark(context: CanvasRenderingContext2D): void {
    if (this.members.length > MARKED) return
    context.fillStyle = '#ffffff'
    for (const i of this.members) {
      const [x, y] = this.explorer.toScreen(...this.explorer.place(i))
      context.fillRect(x - 1, y - 1, 2, 2)
    }
  }

  private label(context: CanvasRenderingContext2D, { name, strokes }: Named): void {
    const corners = strokes[0]?.outline ?? []
    const middle = [0, 1].map((k) => corners.reduce((sum, at) => sum + at[k], 0) / corners.length)
    const [x, y] = this.explorer.toScreen(middle[0], middle[1])
    context.font = '600 13px system-ui, sans-serif'
    context.textAlign = 'center'
    context.lineWidth = 4
    context.lineJoin = 'round'
    context.strokeStyle = 'rgb(0 0 0 / 0.8)'
    context.strokeText(name, x, y)
    context.fillStyle = '#ffffff'
    context.fillText(name, x, y)
  }
}

/** What the keys held say, as in drawing programs; without any, what the tool bar says. */
const operationOf = (event: PointerEvent, chosen: Operation): Operation =>
  event.shiftKey ? 'add' : event.ctrlKey || event.metaKey ? 'subtract' : chosen

/** At most `count` of some numbers, evenly spread over them. */
const spread = (numbers: Uint32Array, count: number): Uint32Array =>
  numbers.length <= count
    ? numbers
    : Uint32Array.from(
        { length: count },
        (_, i) => numbers[Math.floor((i * numbers.length) / count)],
      )

/** The explorer's one set of regions: it outlives the panels that show it. */
export const regionsOf = oneOf((explorer) => new Regions(explorer))
