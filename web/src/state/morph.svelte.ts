/** A morph: two ends, three ways between them, and the film of the way. */

import {
  descend,
  gridPath,
  stretchBy,
  type Grid,
  type Stretch,
} from '../core/geodesic'
import { loadKnn, type Knn } from '../core/knn'
import type { PathKind } from '../core/link'
import { join, length, linear, nearestOnPath, resample, spherical, steps } from '../core/paths'
import { row, unstack } from '../core/rows'
import type { Point } from '../core/view'
import { whole } from '../core/words'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'

export interface Kind {
  id: PathKind
  name: string
  /** Drawn on the map, in css pixels: a pattern, because a colour alone is not seen by everybody. */
  dash: number[]
}

export const KINDS: readonly Kind[] = [
  { id: 'linear', name: 'Straight', dash: [10, 6] },
  { id: 'slerp', name: 'Spherical', dash: [2, 6] },
  { id: 'geo', name: 'Geodesic', dash: [] },
]

/** One way from A to B and what is seen along it. */
export interface Way {
  path: Float32Array
  frames: Float32Array[]
  /** Lengths of a fine version of the way: in latent units, and in pixel values (L2). */
  latentLength: number
  imageLength: number
  /** Image distance of each step of the film. */
  speeds: number[]
  /** How the way was found. */
  note: string
}

/** Where the search for a geodesic begins, and how that was found. */
interface Start {
  start: Float32Array
  /** null where the density is known at the nodes of the start only: it is shown as it is. */
  stretch: Stretch | null
  note: string
}

/** Points of the fine version that is measured. */
const FINE = 64
const FRAME_MILLISECONDS = 90

export class Morph {
  count = $state(16)
  weight = $state(0)
  /** Constant image speed on every way; the geodesic has it anyhow. */
  even = $state(false)
  kind = $state<PathKind>('geo')
  waypoints = $state.raw<Float32Array[]>([])
  ways = $state.raw<Partial<Record<PathKind, Way>>>({})
  /** Which end the next click sets. */
  armed = $state<'a' | 'b'>('a')
  frame = $state(0)
  playing = $state(false)
  back = $state(true)
  busy = $state(false)
  /** The ways there are: on a line there is no arc. */
  readonly kinds: readonly Kind[]
  /** Whether the data can pull the geodesic: there is a density for it. */
  readonly weighted: boolean
  private run = 0
  private direction = 1
  private knn: Promise<Knn> | null = null
  private field: Promise<{
    grid: Grid
    metric: Float32Array
    density: Float32Array | null
  }> | null = null

  constructor(private readonly explorer: Explorer) {
    const { source, points } = explorer
    this.kinds = KINDS.filter(({ id }) => points.D > 1 || id !== 'slerp')
    this.weighted = Boolean(source.manifest.density) && source.has(points.D === 2 ? 'density' : 'knn_density')
  }

  get ready(): boolean {
    return this.explorer.ends.a !== null && this.explorer.ends.b !== null
  }

  /** The classes of the images nearest to the ends; null where images have none. */
  get names(): [string, string] | null {
    const { points, ends } = this.explorer
    if (!points.labels || !ends.a || !ends.b) return null
    return [ends.a, ends.b].map((z) => points.className(points.nearest(z, 1)[0].index)) as [string, string]
  }

  /** Sets the end that is due, and makes the other one due. */
  setNext(z: Float32Array): void {
    this.explorer.setEnd(this.armed, z)
    this.armed = this.armed === 'a' ? 'b' : 'a'
  }

  swap(): void {
    const { a, b } = this.explorer.ends
    this.explorer.ends = { a: b, b: a }
    this.waypoints = this.waypoints.toReversed()
  }

  // -- ways -------------------------------------------------------------------------------------

  /** Finds all ways anew; a newer call overtakes an older one. */
  async find(): Promise<void> {
    const run = ++this.run
    const { a, b } = this.explorer.ends
    if (!a || !b || this.explorer.networks.state !== 'ready') {
      this.ways = {}
      return
    }
    this.busy = true
    const stops = [a, ...this.waypoints, b]
    const put = (kind: PathKind, way: Way): void => {
      if (run === this.run) this.ways = { ...this.ways, [kind]: way }
    }
    try {
      put('linear', await this.measure(this.chain(stops, linear), this.even, ''))
      if (this.explorer.points.D > 1) put('slerp', await this.measure(this.chain(stops, spherical), this.even, ''))
      await this.findGeodesic(stops, put, () => run !== this.run)
    } finally {
      if (run === this.run) this.busy = false
    }
  }

  private chain(
    stops: Float32Array[],
    path: (a: Float32Array, b: Float32Array, count: number) => Float32Array,
  ): Float32Array {
    const each = Math.max(8, Math.round(FINE / (stops.length - 1))) + 1
    const pieces = stops.slice(1).map((to, i) => path(stops[i], to, each))
    return join(pieces, this.explorer.points.D)
  }

  private async findGeodesic(
    stops: Float32Array[],
    put: (kind: PathKind, way: Way) => void,
    stopped: () => boolean,
  ): Promise<void> {
    const { explorer } = this
    const { D } = explorer.points
    const live = await this.given(stops)
    if (live) return put('geo', await this.measure(live, true, 'exact, by the server'))
    let { start, stretch, note } = await this.startOfGeodesic(stops)
    if (stopped()) return
    const first = await this.measure(start, true, note)
    if (note) put('geo', first)
    if (!stretch) return
    let refined = `${note}, refined`
    if (!note || (!this.weight && this.ways.linear && this.ways.linear.imageLength < first.imageLength)) {
      start = this.chain(stops, linear)
      refined = `energy descent from the straight line${note ? ', shorter than the ' + note : ''}`
    }
    const legs = await this.legs(start, stops, stretch, stopped)
    if (!stopped()) put('geo', await this.measure(join(legs, D), true, refined))
  }

  /** Each leg of the start, its energy lowered between its own two stops. */
  private async legs(
    start: Float32Array,
    stops: Float32Array[],
    stretch: Stretch,
    stopped: () => boolean,
  ): Promise<Float32Array[]> {
    const { D } = this.explorer.points
    const options = { iterations: D > 4 ? 8 : 12, stretch, stopped }
    const legs: Float32Array[] = []
    let from = 0
    for (const stop of stops.slice(1)) {
      const to = indexOf(start, D, stop, from + 1)
      const leg = start.slice(from * D, (to + 1) * D)
      legs.push(await descend(leg, D, this.explorer.networks.decode, options))
      from = to
    }
    return legs
  }

  private async startOfGeodesic(stops: Float32Array[]): Promise<Start> {
    const { source, points, outdated } = this.explorer
    const { condition } = this.explorer.networks
    if (points.D > 2 && source.has('knn_edges') && !outdated) return this.startOnGraph(stops)
    if (points.D !== 2 || !source.has('metric') || condition || outdated)
      return { start: this.chain(stops, linear), stretch: () => 1, note: '' }
    const { grid, metric, density } = await (this.field ??= this.loadField())
    const typical = source.manifest.density?.typical
    const stretch =
      density && typical !== undefined && this.weight
        ? stretchBy(grid, density, this.weight, typical)
        : () => 1
    const pieces = stops.slice(1).map((to, i) => gridPath(grid, metric, stops[i], to, stretch))
    const note = `shortest path on the ${grid.cols} × ${grid.rows} metric`
    return { start: join(pieces, 2), stretch, note }
  }

  private async startOnGraph(stops: Float32Array[]): Promise<Start> {
    const { source, points } = this.explorer
    const { decode } = this.explorer.networks
    const knn = await (this.knn ??= loadKnn(source, points))
    const stretch = this.weight ? null : () => 1
    const pieces: Float32Array[] = []
    for (let i = 1; i < stops.length; i++) {
      const piece = await knn.path(stops[i - 1], stops[i], decode, this.weight)
      if (!piece) return { start: this.chain(stops, linear), stretch: () => 1, note: '' }
      pieces.push(piece)
    }
    const note = `shortest path through a graph of ${whole(knn.count)} images`
    return { start: join(pieces, points.D), stretch, note }
  }

  private async loadField(): Promise<{
    grid: Grid
    metric: Float32Array
    density: Float32Array | null
  }> {
    const { source, manifest } = this.explorer
    const [rows, cols] = manifest.blobs.metric.shape
    const { x, y } = manifest.field!
    const density = source.has('density') ? await source.floats('density') : null
    return { grid: { rows, cols, x, y }, metric: await source.floats('metric'), density }
  }

  /** The way as the backend finds it; null where it does not, or is told another class than the first. */
  private async given(stops: Float32Array[]): Promise<Float32Array | null> {
    const { backend, points } = this.explorer
    const { condition } = this.explorer.networks
    if (condition) return null
    const legs: Float32Array[] = []
    for (let i = 1; i < stops.length; i++) {
      const leg = await backend.geodesic(stops[i - 1], stops[i], FINE, this.weight)
      if (!leg) return null
      legs.push(leg)
    }
    return join(legs, points.D)
  }

  /** The way with its lengths and its film. */
  private async measure(fine: Float32Array, even: boolean, note: string): Promise<Way> {
    const { explorer } = this
    const { D } = explorer.points
    const images = await explorer.networks.decode(fine)
    const pixels = images.length / (fine.length / D)
    const speeds = steps(images, pixels)
    const path = resample(fine, D, this.count, even ? speeds : speeds.map(() => 1))
    const film = await explorer.networks.decode(path)
    return {
      path,
      frames: unstack(film, pixels),
      latentLength: length(fine, D),
      imageLength: speeds.reduce((sum, speed) => sum + speed, 0),
      speeds: steps(film, pixels),
      note,
    }
  }

  // -- waypoints --------------------------------------------------------------------------------

  /** A point on the chosen way within reach (css pixels) of a place on the screen, or null. */
  grip(x: number, y: number, reach = 12): { at: number; isNew: boolean } | null {
    const { explorer } = this
    const close = (z: Float32Array): boolean => {
      const place = onScreen(explorer, z)
      return place !== null && Math.hypot(place[0] - x, place[1] - y) < reach
    }
    const held = this.waypoints.findIndex(close)
    if (held >= 0) return { at: held, isNew: false }
    const way = this.ways[this.kind]
    if (!way || !explorer.planes.plane.exact || [explorer.ends.a!, explorer.ends.b!].some(close))
      return null
    const line = Float32Array.from(
      unstack(way.path, explorer.points.D).flatMap((z) => onScreen(explorer, z) ?? []),
    )
    const found = nearestOnPath(line, 2, [x, y])
    return found.distance < reach ? { at: this.legAt(way.path, found.piece), isNew: true } : null
  }

  /** Number of waypoints that the way has passed at one of its pieces. */
  private legAt(path: Float32Array, piece: number): number {
    const { D } = this.explorer.points
    return this.waypoints.filter((stop) => indexOf(path, D, stop, 0) <= piece).length
  }

  /** A new waypoint where the film stands. */
  addHere(): void {
    const way = this.ways[this.kind]
    if (!way) return
    const z = row(way.path, this.explorer.points.D, this.frame).slice()
    this.waypoints = this.waypoints.toSpliced(this.legAt(way.path, this.frame), 0, z)
  }

  insert(at: number, z: Float32Array): void {
    this.waypoints = this.waypoints.toSpliced(at, 0, z)
  }

  move(at: number, z: Float32Array): void {
    this.waypoints = this.waypoints.with(at, z)
  }

  remove(at: number): void {
    this.waypoints = this.waypoints.toSpliced(at, 1)
  }

  // -- film -------------------------------------------------------------------------------------

  cycle(): void {
    const at = this.kinds.findIndex(({ id }) => id === this.kind)
    this.kind = this.kinds[(at + 1) % this.kinds.length].id
    this.explorer.surface.redraw()
  }

  toggle(): void {
    this.playing = !this.playing && this.ready
  }

  seek(frame: number): void {
    this.frame = Math.max(0, Math.min(this.count - 1, frame))
    this.explorer.surface.redraw()
  }

  /** Plays until paused; returns what stops it. */
  start(): () => void {
    const timer = setInterval(() => this.advance(), FRAME_MILLISECONDS)
    return () => clearInterval(timer)
  }

  private advance(): void {
    const next = this.frame + this.direction
    if (next >= 0 && next < this.count) return this.seek(next)
    if (this.back) this.direction = -this.direction
    this.seek(this.back ? this.frame + this.direction : 0)
  }
}

/** Where a code lies on the screen, or null. */
export function onScreen({ planes, viewport }: Explorer, z: Float32Array): Point | null {
  const at = planes.ofLatent(z)
  return at && viewport.toScreen(...at)
}

/** Where in a path a stop lies: the point nearest to it, from a place on. */
function indexOf(path: Float32Array, dims: number, stop: Float32Array, from: number): number {
  let [found, least] = [from, Infinity]
  for (let i = from; i < path.length / dims; i++) {
    let square = 0
    for (let d = 0; d < dims; d++) square += (path[i * dims + d] - stop[d]) ** 2
    if (square < least) [found, least] = [i, square]
  }
  return found
}

/** The explorer's one morph: it outlives the panel that shows it. */
export const morphOf = oneOf((explorer) => new Morph(explorer))
