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
import type { Plane } from '../core/plane'
import type { Points } from '../core/points'
import { fit, histogram, sampleGaussian, statistics, type Region, type Statistics } from '../core/regions'
import { mean, stack, take } from '../core/rows'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'

export type Named = Region<Stroke>

/** What strokes select: members are numbers of `points`, which are all images, or some of a larger set. */
export interface Selected {
  points: Points
  members: Uint32Array
  count: number
  /** The images of each class, the most frequent first. */
  classes: { label: number; count: number }[]
}
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

  readonly held: Selected | null = $derived.by(() =>
    this.selected(this.strokes.now, this.explorer.planes.plane, this.explorer.classes.shown),
  )

  readonly members: Uint32Array = $derived(this.held?.members ?? new Uint32Array())

  readonly found: Statistics | null = $derived(told(this.held, 500))

  /** What strokes select on a plane, of the classes shown; null until a server has counted. */
  private selected(strokes: readonly Stroke[], { positions }: Plane, shown: readonly boolean[] = []): Selected | null {
    const { crowd, points } = this.explorer
    const filtered = shown.includes(false)
    if (crowd) return crowd.selected(strokes, filtered ? shownOf(shown) : null)
    const all = indices(selected(strokes, positions))
    const { labels } = points
    const members = labels && filtered ? all.filter((i) => shown[labels[i]]) : all
    return { points, members, count: members.length, classes: histogram(members, labels ?? undefined) }
  }

  /** A table of the selection, made by the server; null where it does not answer. */
  table = async (): Promise<Blob | null> => {
    const { crowd, classes } = this.explorer
    return crowd!.table(this.strokes.now, classes.shown.includes(false) ? shownOf(classes.shown) : null)
  }

  /** The most atypical members: those whose own images the page holds, if any. */
  readonly odd: number[] = $derived.by(() => {
    const { originals } = this.explorer.networks
    const all = this.found?.atypical ?? []
    const held = originals ? all.filter((i) => originals.has(i)) : []
    return (held.length ? held : all).slice(0, ODD)
  })

  put(stroke: Stroke): void {
    const before = stroke.operation === 'replace' ? [] : this.strokes.now
    this.strokes = commit(this.strokes, [...before, stroke])
    this.explorer.surface.redraw()
  }

  clear(): void {
    if (this.strokes.now.length) this.strokes = commit(this.strokes, [])
    this.draft = null
    this.explorer.surface.redraw()
  }

  undo(): void {
    this.strokes = undo(this.strokes)
    this.explorer.surface.redraw()
  }

  redo(): void {
    this.strokes = redo(this.strokes)
    this.explorer.surface.redraw()
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
    const { found, held, odd, explorer } = this
    this.pictures = null
    if (!found || !held || explorer.networks.state !== 'ready') return
    const { members, points } = held
    const gaussian = fit(take(points.latents, points.D, members), points.D)
    const samples = sampleGaussian(gaussian, this.seed, SAMPLES)
    const [average, centroid, medoid, atypical, drawn] = await Promise.all([
      this.meanOf(held),
      explorer.networks.decode(explorer.points.codebook?.snap(found.centroid) ?? found.centroid),
      this.imageOf(found.medoid, points),
      Promise.all(odd.map((i) => this.imageOf(i, points))),
      Promise.all(
        Array.from({ length: SAMPLES }, (_, i) =>
          explorer.networks.decode(samples.slice(i * points.D, (i + 1) * points.D)),
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
  async imageOf(index: number, points = this.explorer.points): Promise<Float32Array> {
    const { networks } = this.explorer
    return (await networks.original(index, points)) ?? (await networks.reconstruction(index, points))
  }

  private async meanOf({ members, points, count: all }: Selected): Promise<{ mean: Float32Array; meanOf: string }> {
    const { originals, decode } = this.explorer.networks
    const held = originals ? members.filter((i) => originals.has(i)) : new Uint32Array()
    const some = spread(held.length ? held : members, MEAN_OF)
    const count = some.length < all ? `${some.length} of them` : 'all'
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
    this.named = [...others, { name, map: explorer.planes.plane.id, strokes: [...strokes.now] }]
    void this.keep()
  }

  remove(at: number): void {
    this.named = this.named.toSpliced(at, 1)
    void this.keep()
  }

  /** Selects what a region holds, on the map where it was drawn; nothing where this page does not have that map. */
  recall(region: Named): void {
    const { explorer } = this
    const plane = explorer.planes.of(region.map)
    if (!plane) {
      explorer.notice = { tone: 'warning', text: `“${region.name}” was drawn on a map that this page does not have.` }
      return
    }
    if (plane !== explorer.planes.plane) explorer.usePlane(plane)
    this.strokes = commit(this.strokes, region.strokes)
    explorer.surface.redraw()
  }

  statisticsOf(region: Named | undefined): Statistics | null {
    const plane = region && this.explorer.planes.of(region.map)
    return plane ? told(this.selected(region.strokes, plane)) : null
  }

  /** Takes regions from a link, a saved copy or the run. */
  adopt(regions: unknown): void {
    const news = checkedRegions(regions)
    const names = new Set(news.map(({ name }) => name))
    this.named = [...this.named.filter(({ name }) => !names.has(name)), ...news]
    this.explorer.surface.redraw()
  }

  private async keep(): Promise<void> {
    const { explorer } = this
    explorer.surface.redraw()
    if (await explorer.backend.keep(this.named)) return
    const text = 'The regions could not be written into the run: its server does not answer.'
    explorer.notice = { tone: 'warning', text }
  }

  /** Brings back what was kept. */
  async restore(): Promise<void> {
    this.adopt(await this.explorer.backend.regions())
  }

  // -- the tool ---------------------------------------------------------------------------------

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
      this.explorer.surface.redraw()
    },
    up: (): void => {
      const outline = this.outline()
      this.draft = null
      if (outline.length > 2) this.put({ operation: this.current.operation, outline })
      else this.explorer.surface.redraw()
    },
  }
  private current: { shape: Shape; operation: Operation } = { shape: 'lasso', operation: 'replace' }

  /** What is drawn so far, with the points a screen can tell apart. */
  outline(): Point[] {
    if (!this.draft || this.draft.length < 2) return []
    if (this.current.shape === 'rectangle') return rectangle(this.draft[0], this.draft[1])
    return simplified(this.draft, 0.8 / this.explorer.viewport.view.scale)
  }
}

const shownOf = (shown: readonly boolean[]): number[] => shown.flatMap((on, label) => (on ? [label] : []))

/** What is known of a selection: all of its numbers, and statistics of the members that are here. */
function told(held: Selected | null, atypical?: number): Statistics | null {
  if (!held) return null
  const { points, members, count, classes } = held
  const found = statistics(points.latents, points.D, members, points.labels ?? undefined, atypical)
  return found && { ...found, count, classes }
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
