/** The explorer's state and what can be done to it: everything on the screen reads from here. */

import { getContext, setContext } from 'svelte'
import type { Indices } from '../core/codes'
import { ellipse, type Ellipse } from '../core/ellipse'
import type { Manifest } from '../core/manifest'
import { classColours } from '../core/colours'
import { PlaneIndex, type Neighbour } from '../core/neighbours'
import { cut, type Originals } from '../core/originals'
import { axes, extent, relaid, snapped, type Plane } from '../core/plane'
import { medoids, type Medoid, type Points } from '../core/points'
import type { DataSource } from '../core/source'
import { mix, support, type Share } from '../core/support'
import { fit, toPlane, toScreen, visible, type Box, type Insets, type Point, type View } from '../core/view'
import { Dropped, type Encoded, type Engine, type Floats, type Told } from '../engine/engine'
import { Commands } from './commands.svelte'

export type Mode = 'explore' | 'morph' | 'lasso' | 'sliders' | 'codes' | 'levels' | 'film'
export type Theme = 'auto' | 'dark' | 'light'
export type EngineState = 'starting' | 'ready' | 'off'
export type OverlayId = 'none' | 'density' | 'metric' | 'sigma' | 'entropy' | 'prior' | 'error'

/** Where the person looks: a place on the plane and the code behind it. */
export interface Probe {
  u: number
  v: number
  z: Float32Array
  by: 'pointer' | 'keys' | 'touch'
}

/** What the data say about a code. */
export interface Facts {
  nearest: Neighbour | null
  mix: Share[]
  /** Share of the images that lie at least as lonely. */
  support: number
  extrapolation: boolean
}

/** A code that stays: an image of the set, a place on the map, or somebody's own picture. */
export interface Pin {
  id: number
  z: Float32Array
  /** Which image of the set, or null. */
  index: number | null
  label: string
  /** C × H × W numbers in [0, 1], where there is one. */
  original: Float32Array | null
  reconstruction: Float32Array | null
  /** Posterior standard deviations, or null. */
  sigma: Float32Array | null
  /** The code of a discrete model, where it is known. */
  codes?: Indices | null
}

/** A code drawn by chance: from the prior, or from where the data are. */
export interface Sample {
  z: Float32Array
  prior: boolean
}

export interface Notice {
  tone: 'info' | 'warning' | 'error'
  text: string
}

/** Another moment of the training: where some of the images lay, and who was near whom. */
export interface Moment {
  plane: Plane
  first: number
  end: number
}

/** Draws on the top layer of the map, in css pixels. */
export type Draw = (context: CanvasRenderingContext2D, view: View) => void

/** Takes the pointer over from panning: a lasso, a path's handles. */
export interface Tool {
  cursor: string
  down(at: Point, event: PointerEvent): boolean
  move(at: Point, event: PointerEvent): void
  up(at: Point, event: PointerEvent): void
}

/** Moves what the map shows; the map itself puts it here. */
export interface Camera {
  show(view: View, milliseconds?: number): void
  zoom(factor: number): void
}

const SUPPORT_NEIGHBOURS = 50
const EXTRAPOLATION = 0.005
/** css pixels between the panels below which the map stays as it is. */
const LEAST_ROOM = 160

export class Explorer {
  readonly manifest: Manifest
  readonly commands = new Commands()

  view = $state.raw<View>({ scale: 1, x: 0, y: 0, width: 1, height: 1 })
  insets = $state.raw<Insets>({ left: 0, top: 0, right: 0, bottom: 0 })
  plane = $state.raw() as Plane
  mode = $state<Mode>('explore')
  theme = $state<Theme>('auto')
  lensDocked = $state(false)
  layers = $state({ background: 0.42, size: 1, alpha: 1, labels: true })
  overlay = $state<OverlayId>('none')
  /** Which classes are drawn. */
  shown = $state<boolean[]>([])
  highlighted = $state<number | null>(null)
  /** The class a conditional decoder is told. */
  condition = $state(0)

  probe = $state.raw<Probe | null>(null)
  /** The image at the probe, null until it has been decoded. */
  image = $state.raw<Float32Array | null>(null)
  facts = $state.raw<Facts | null>(null)
  pins = $state.raw<Pin[]>([])
  current = $state<number | null>(null)
  samples = $state.raw<Sample[]>([])
  /** The two ends of a morph. */
  ends = $state.raw<{ a: Float32Array | null; b: Float32Array | null }>({ a: null, b: null })

  /** The moment of the training that is shown; null: its end, or its newest. */
  moment = $state.raw<Moment | null>(null)
  /** Whether the codes are newer than the grids and errors that came with the page. */
  outdated = $state(false)
  engineState = $state<EngineState>('starting')
  notice = $state.raw<Notice | null>(null)
  announcement = $state('')
  details = $state(false)
  originals = $state.raw<Originals | null>(null)
  /** The decoded grid that came with the page. */
  atlas: ImageBitmap | null = null

  /** Paints the map anew at so many pixels per css pixel, with its points or without. */
  paint = $state.raw<((scale: number, dots?: boolean) => OffscreenCanvas) | null>(null)
  /** Copies a link to what is shown; null where nothing can. */
  share = $state.raw<(() => void) | null>(null)
  /** Which neighbour of the pin is looked at. */
  neighbour = -1

  engine: Engine | null = null
  camera: Camera | null = null
  tool = $state.raw<Tool | null>(null)
  /** Whether the map shows everything, as `fit` left it. */
  fitted = true
  /** Whether the tool has the pointer, so that the map stays where it is. */
  held = false
  yardstick: Float32Array = new Float32Array()
  private readonly draws = new Set<Draw>()
  private readonly taps = new Set<(at: Point, index: number | null) => boolean>()
  private pinned = 0
  private fresh: { id: number; at: number } | null = null
  private announced = 0
  private around: ReturnType<typeof setTimeout> | null = null
  /** Asks the map for a new frame; the map itself puts it here. */
  redraw: () => void = () => {}

  readonly colours: string[]
  /** The window that holds the data. */
  home = $state.raw() as Box
  /** Nearest points on the plane shown. */
  index = $state.raw() as PlaneIndex
  /** The image in the middle of each class and its place, the largest classes first. */
  medoids = $state.raw<Medoid[]>([])

  constructor(
    readonly source: DataSource,
    readonly points: Points,
    readonly planes: Plane[],
  ) {
    this.manifest = source.manifest
    this.lay(planes[0])
    this.colours = classColours(this.manifest.colours, this.manifest.data.classes.length)
    this.shown = this.manifest.data.classes.map(() => true)
  }

  // -- places -----------------------------------------------------------------------------------

  toScreen = (u: number, v: number): Point => toScreen(this.view, u, v)
  toPlane = (x: number, y: number): Point => toPlane(this.view, x, y)

  /** The code at a place on the plane: on the slice through the current pin. */
  toLatent = (u: number, v: number): Float32Array => this.plane.toLatent(u, v, this.pin?.z ?? null)

  /** Where a code falls on the plane, or null. */
  ofLatent = (z: Float32Array): Point | null => this.plane.ofLatent(z)

  /** Where an image of the set lies. */
  place = (index: number): Point => [
    this.plane.positions[2 * index],
    this.plane.positions[2 * index + 1],
  ]

  get visible(): Box {
    return visible(this.view)
  }

  /** Images per unit of the plane's area, on average over the window. */
  get density(): number {
    const { x, y } = this.home
    return this.points.count / ((x[1] - x[0]) * (y[1] - y[0]))
  }

  /** Takes a plane and what is known of it: computed once, not derived at every reading. */
  private lay(plane: Plane): void {
    const { tree, latents } = this.points
    this.plane = plane
    this.home = extent(plane.positions)
    this.index = tree && plane.positions === latents ? tree : new PlaneIndex(plane.positions)
    this.medoids = medoids(plane.positions, this.points)
  }

  /** Puts images where they lay at another moment, the others out of sight; null: all back again. */
  become(moment: Moment | null): void {
    const stayed = this.plane === this.moment?.plane
    this.moment = moment
    if (moment) {
      const { plane, first, end } = moment
      this.plane = plane
      this.index = new PlaneIndex(plane.positions, first, end)
      this.medoids = medoids(plane.positions, this.points, first, end)
    } else if (stayed) this.lay(this.planes[0])
    void this.refresh()
  }

  /** Takes new codes of all images: what was made beforehand from older ones no longer counts. */
  learn(latents: Float32Array, logVars: Float32Array | null): void {
    this.points.move(latents, logVars)
    this.outdated = true
    const { id } = this.plane
    const { codebook } = this.points
    this.planes.splice(0, Infinity, ...relaid(this.planes, this.points).map((plane) => snapped(plane, codebook)))
    this.pairs.clear()
    this.lay(this.planeOf(id) ?? this.planes[0])
    this.pins = this.pins.map((pin) => this.follow(pin))
    for (const pin of this.pins) void this.reconstruct(pin)
    void this.refresh()
  }

  /** The pin of an image, where the image lies now. */
  private follow(pin: Pin): Pin {
    const { index } = pin
    return index === null ? pin : { ...pin, z: this.points.z(index), sigma: this.points.sigma(index) }
  }

  // -- networks ---------------------------------------------------------------------------------

  /** The images at the codes, one after the other: C × H × W numbers in [0, 1] each. */
  decode = (z: Float32Array, told?: Told): Promise<Floats> => this.running().decode(z, told)

  /** What an image of the set is decoded to: in its own class, where the decoder is told one. */
  reconstruction = (index: number): Promise<Floats> => this.decode(this.points.z(index), this.told(index))

  /** What the networks of a conditional model are told of an image: its own class. */
  told(index: number): Told {
    const { points, manifest } = this
    const { conditional } = manifest.model
    if (!conditional || !points.labels) return {}
    const c = new Float32Array(conditional)
    c[points.labels[index]] = 1
    return { c }
  }

  /** Where images (C × H × W numbers in [0, 1] each) lie. */
  encode = (x: Float32Array, told?: Told): Promise<Encoded> => this.running().encode(x, told)

  private running(): Engine {
    if (this.engine && this.engineState === 'ready') return this.engine
    throw new Error('The decoder is not running.')
  }

  /** The image itself: the page's own, or its server's; null where neither has it. */
  async original(index: number): Promise<Float32Array | null> {
    const held = this.originals?.pixels(index)
    if (held || !this.manifest.live) return held ?? null
    const answer = await fetch(`original/${index}`).catch(() => null)
    if (!answer?.ok) return null
    return Float32Array.from(new Uint8Array(await answer.arrayBuffer()), (value) => value / 255)
  }

  // -- the probe --------------------------------------------------------------------------------

  /** Looks at a place: its image is decoded, its neighbours looked up. */
  look(u: number, v: number, by: Probe['by']): void {
    this.probe = { u, v, by, z: this.toLatent(u, v) }
    void this.refresh()
  }

  /** The pointer has left the map. */
  lookAway(): void {
    if (this.probe?.by !== 'pointer') return
    this.probe = null
  }

  private async refresh(): Promise<void> {
    const { probe, engine } = this
    if (!probe) return
    this.lookAround()
    if (!engine || this.engineState !== 'ready') {
      this.image = this.atlasCell(probe.u, probe.v)
      return
    }
    try {
      this.image = await engine.hover(probe.z)
    } catch (error) {
      if (!(error instanceof Dropped)) throw error
    }
  }

  /** The cell of the picture made in Python that is nearest to a place, while nothing decodes. */
  private atlasCell(u: number, v: number): Float32Array | null {
    const { field, data } = this.manifest
    if (!this.atlas || !field || this.outdated || this.plane.id !== 'latent') return null
    const [C, height, width] = data.shape
    const cell = (at: number, [lo, hi]: Point, count: number): number =>
      Math.min(count - 1, Math.max(0, Math.floor(((at - lo) / (hi - lo)) * count)))
    const column = cell(u, field.x, field.cols)
    const row = field.rows - 1 - cell(v, field.y, field.rows)
    return cut(this.atlas, column * width, row * height, width, height, C)
  }

  /** Looks up the neighbours: at once on a plane, a few times a second where all rows are read. */
  private lookAround(): void {
    if (this.moment && this.points.D !== 2) {
      this.facts = null
      return
    }
    if (this.points.tree) {
      this.facts = this.probe && this.factsAt(this.probe.z)
      return
    }
    this.around ??= setTimeout(() => {
      this.around = null
      if (this.probe) this.facts = this.factsAt(this.probe.z)
    }, 60)
  }

  /** Decodes as another class from now on. */
  recondition(condition: number): void {
    if (!this.engine || this.engine.condition === condition) return
    this.engine.condition = condition
    void this.refresh()
    for (const pin of this.pins) void this.reconstruct(pin)
  }

  /** What the data say about a code. */
  factsAt(z: Float32Array): Facts {
    const near = this.moment
      ? this.index.nearest(z[0], z[1], SUPPORT_NEIGHBOURS)
      : this.points.nearest(z, SUPPORT_NEIGHBOURS)
    const backing = this.moment ? 1 : support(this.yardstick, near.at(-1)?.distance ?? Infinity)
    return {
      nearest: near[0] ?? null,
      mix: mix(near, this.points.labels),
      support: backing,
      extrapolation: backing < EXTRAPOLATION,
    }
  }

  // -- pins -------------------------------------------------------------------------------------

  get pin(): Pin | null {
    return this.pins.find(({ id }) => id === this.current) ?? null
  }

  /** Pins an image of the set. */
  async pinImage(index: number): Promise<void> {
    const { points } = this
    const name = points.className(index)
    const original = this.originals?.pixels(index) ?? null
    await this.addPin({
      z: points.z(index),
      index,
      label: name ? `${name}, ${points.name(index)}` : points.name(index),
      original,
      sigma: points.sigma(index),
      codes: points.codeOf(index),
    })
    if (original || !this.manifest.live) return
    const found = await this.original(index)
    this.pins = this.pins.map((pin) => (pin.index === index ? { ...pin, original: found } : pin))
  }

  /** Decodes what was waiting for the engine. */
  engineStarted(engine: Engine): void {
    this.engine = engine
    this.engineState = 'ready'
    void this.refresh()
    for (const pin of this.pins) void this.reconstruct(pin)
  }

  /** Gives the pins what has come since they were set: spreads and originals of their images. */
  complete(): void {
    const { originals, points } = this
    this.pins = this.pins.map((pin) =>
      pin.index === null
        ? pin
        : {
            ...pin,
            original: originals?.pixels(pin.index) ?? pin.original,
            sigma: points.sigma(pin.index),
          },
    )
  }

  private async reconstruct({ id, z }: Pick<Pin, 'id' | 'z'>): Promise<void> {
    const reconstruction = await this.decode(z)
    this.pins = this.pins.map((pin) => (pin.id === id ? { ...pin, reconstruction } : pin))
  }

  /** Pins a code: a place on the map, a sample, somebody's picture. */
  async addPin(
    given: Omit<Pin, 'id' | 'reconstruction' | 'index'> & { index?: number | null },
  ): Promise<void> {
    const same = this.pins.find((pin) => given.index != null && pin.index === given.index)
    const id = same?.id ?? ++this.pinned
    if (!same) this.pins = [...this.pins, { index: null, ...given, id, reconstruction: null }]
    this.current = id
    this.neighbour = -1
    this.fresh = same ? this.fresh : { id, at: performance.now() }
    this.redraw()
    if (!same && this.engineState === 'ready') await this.reconstruct({ id, z: given.z })
  }

  /** The image within so many css pixels of a place, or null. */
  hit(u: number, v: number, reach: number): number | null {
    const [near] = this.index.nearest(u, v, 1, this.isShown)
    return near && near.distance * this.view.scale <= reach ? near.index : null
  }

  /** Pins the image hit, or else the place itself. */
  pinAt(u: number, v: number, index: number | null): Promise<void> {
    if (index !== null) return this.pinImage(index)
    const z = this.toLatent(u, v)
    return this.addPin({ z, label: this.points.say(z), original: null, sigma: null })
  }

  /** Pins where the probe is: its nearest image when that is close by. */
  pinProbe(): void {
    const { probe } = this
    if (probe) void this.pinAt(probe.u, probe.v, this.hit(probe.u, probe.v, 14))
  }

  /** Shows codes drawn from the prior beside codes drawn from where the data are. */
  putSamples(prior: Float32Array, data: Float32Array): void {
    const { D } = this.points
    const rows = (z: Float32Array, isPrior: boolean): Sample[] =>
      Array.from({ length: z.length / D }, (_, n) => ({ z: z.slice(n * D, (n + 1) * D), prior: isPrior }))
    this.samples = [...rows(prior, true), ...rows(data, false)]
  }

  /** Unpins what the last click pinned: it was the first half of a double click. */
  takeBackPin(now = performance.now()): void {
    if (this.fresh && now - this.fresh.at < 600) this.unpin(this.fresh.id)
    this.fresh = null
  }

  /** Makes another pin the one that is looked at. */
  choose(id: number): void {
    this.current = id
    this.neighbour = -1
    this.redraw()
  }

  /** Looks at an image of the set. */
  point(index: number): void {
    this.look(...this.place(index), 'keys')
  }

  unpin(id: number): void {
    this.pins = this.pins.filter((pin) => pin.id !== id)
    if (this.current === id) this.current = this.pins.at(-1)?.id ?? null
    this.redraw()
  }

  /** The pin's posterior on the plane at one standard deviation, or null. */
  spread(pin: Pin): Ellipse | null {
    return pin.sigma && this.plane.basis && ellipse(pin.sigma, this.plane.basis)
  }

  setEnd(end: 'a' | 'b', z: Float32Array): void {
    this.ends = { ...this.ends, [end]: z }
    this.redraw()
  }

  // -- classes ----------------------------------------------------------------------------------

  isShown = (index: number): boolean => !this.points.labels || this.shown[this.points.labels[index]]

  toggle(label: number): void {
    this.shown = this.shown.map((on, i) => (i === label ? !on : on))
  }

  showAll(): void {
    this.shown = this.shown.map(() => true)
  }

  /** Shows one class alone; a second time, all of them. */
  solo(label: number): void {
    const alone = this.shown.every((on, i) => on === (i === label))
    this.shown = this.shown.map((_, i) => alone || i === label)
  }

  /** Shows the whole of the data again. */
  fit(milliseconds = 350): void {
    const { width, height } = this.view
    this.camera?.show(fit(this.home, width, height, this.insets), milliseconds)
    this.fitted = true
  }

  /** Keeps all of the data in sight when a panel opens or folds, unless the person has moved the map. */
  refit(milliseconds = 200): void {
    const { view, insets } = this
    if (this.fitted && view.height - insets.top - insets.bottom > LEAST_ROOM) this.fit(milliseconds)
  }

  /** Puts another plane under the points. */
  usePlane(plane: Plane, milliseconds = 600): void {
    this.lay(plane)
    this.probe = null
    this.fit(milliseconds)
  }

  /** The plane called so: one of the page's, or two axes as in "axes-0-3"; null for no such plane. */
  planeOf(id: string): Plane | null {
    const known = this.planes.find((plane) => plane.id === id) ?? this.pairs.get(id)
    const [i, j] = (/^axes-(\d+)-(\d+)$/.exec(id) ?? []).slice(1).map(Number)
    const { latents, D, codebook } = this.points
    if (known || !(i < D && j < D && i !== j)) return known ?? null
    this.pairs.set(id, snapped(axes(latents, D, i, j), codebook))
    return this.planeOf(id)
  }
  private readonly pairs = new Map<string, Plane>()

  /** Whether there is anything between two codes: not where they are discrete. */
  get continuous(): boolean {
    return this.points.codebook === null
  }

  // -- seams ------------------------------------------------------------------------------------

  /** Draws on the map's top layer at every frame; returns what stops it. */
  addDraw(draw: Draw): () => void {
    this.draws.add(draw)
    this.redraw()
    return () => {
      this.draws.delete(draw)
      this.redraw()
    }
  }

  draw(context: CanvasRenderingContext2D): void {
    for (const draw of this.draws) draw(context, this.view)
  }

  /** Hears of a click on the map (plane coordinates, image hit or null); true keeps it. */
  addTap(tap: (at: Point, index: number | null) => boolean): () => void {
    this.taps.add(tap)
    return () => this.taps.delete(tap)
  }

  tapped(at: Point, index: number | null): boolean {
    return [...this.taps].reverse().some((tap) => tap(at, index))
  }

  // -- words ------------------------------------------------------------------------------------

  /** Says something to a screen reader. */
  announce(text: string): void {
    this.announcement = text
  }

  /** Says where the probe is, at most once a second. */
  announceProbe(text: string, now = performance.now()): void {
    if (now - this.announced < 1000) return
    this.announced = now
    this.announce(text)
  }
}

const KEY = Symbol('explorer')

export const provideExplorer = (explorer: Explorer): Explorer => setContext(KEY, explorer)
export const useExplorer = (): Explorer => getContext(KEY)
