/** The explorer: its stores, and what concerns more than one of them. */

import { getContext, setContext } from 'svelte'
import type { Manifest } from '../core/manifest'
import { regionsOf } from '../core/mass'
import type { Plane } from '../core/plane'
import type { Points } from '../core/points'
import type { DataSource } from '../core/source'
import type { Point } from '../core/view'
import type { Backend } from '../engine/backend'
import type { Engine } from '../engine/engine'
import { Surface } from '../map/surface.svelte'
import { ClassFilter } from './classes.svelte'
import { Classifier } from './classifier.svelte'
import { Commands } from './commands.svelte'
import { Crowd } from './crowd.svelte'
import { Networks } from './networks.svelte'
import { Pins } from './pins.svelte'
import { Planes, type Snapshot } from './planes.svelte'
import { Probe } from './probe.svelte'
import { Viewport } from './viewport.svelte'

export type Mode = 'explore' | 'morph' | 'lasso' | 'sliders' | 'codes' | 'levels' | 'film' | 'machine'
export type Theme = 'auto' | 'dark' | 'light'

/** A code drawn by chance: from the prior, or from where the data are. */
export interface Sample {
  z: Float32Array
  prior: boolean
}

export interface Notice {
  tone: 'info' | 'warning' | 'error'
  text: string
}

export class Explorer {
  readonly source: DataSource
  readonly manifest: Manifest
  readonly commands = new Commands()
  readonly surface = new Surface()
  readonly planes: Planes
  readonly viewport: Viewport
  readonly networks: Networks
  readonly pins: Pins
  readonly probe: Probe
  readonly classes: ClassFilter
  /** All codes of a set that only the server has; the points of the page are then a sample. */
  readonly crowd: Crowd | null
  readonly classifier = new Classifier(this)

  mode = $state<Mode>('explore')
  theme = $state<Theme>('auto')
  lensDocked = $state(false)
  samples = $state.raw<Sample[]>([])
  /** The two ends of a morph. */
  ends = $state.raw<{ a: Float32Array | null; b: Float32Array | null }>({ a: null, b: null })
  /** Whether the codes are newer than the grids and errors that came with the page. */
  outdated = $state(false)
  /** Whether spreads and errors have come. */
  details = $state(false)
  notice = $state.raw<Notice | null>(null)
  announcement = $state('')
  /** Begins a training in the page; null where there is none to begin. */
  train = $state.raw<(() => Promise<void>) | null>(null)
  /** From a training in the page back to the saved run. */
  leave: (() => void) | null = null
  /** Copies a link to what is shown, and saves a card with it; null where nothing can. */
  share = $state.raw<{ link: () => void; card: () => void } | null>(null)
  private announced = 0

  constructor(
    readonly backend: Backend,
    readonly points: Points,
    planes: readonly Plane[],
    /** Decoded images behind the points until the decoder draws them. */
    readonly poster: ImageBitmap | null = null,
  ) {
    const { source } = backend
    this.source = source
    this.manifest = source.manifest
    this.planes = new Planes(points, planes)
    this.viewport = new Viewport(() => this.planes.home, (box) => this.planes.outside(box))
    this.networks = new Networks(backend, source.manifest, points)
    this.pins = new Pins(points, this.networks, () => this.surface.redraw())
    this.probe = new Probe(points, this.planes, this.networks, this.toLatent)
    this.classes = new ClassFilter(source.manifest, points.labels)
    const { pyramid } = source.manifest
    this.crowd = pyramid && backend.all ? new Crowd(source.manifest, pyramid, backend.all) : null
  }

  /** Whether there is anything between two codes: not where they are discrete. */
  get continuous(): boolean {
    return this.points.codebook === null
  }

  // -- planes -----------------------------------------------------------------------------------

  /** The code at a place on the plane: on the slice through the current pin. */
  toLatent = (u: number, v: number): Float32Array =>
    this.planes.plane.toLatent(u, v, this.pins.pin?.z ?? null)

  /** Outlines of the regions that hold most of an image's posterior, where it is no Gaussian. */
  massOf(index: number | null): Point[][] {
    const { masses } = this.points
    const { turned } = this.planes
    if (!masses || index === null || !turned || this.outdated) return []
    return regionsOf(masses, index).map((ring) => ring.map(turned))
  }

  /** Puts another plane under the points. */
  usePlane(plane: Plane, milliseconds = 600): void {
    this.planes.use(plane)
    this.probe.at = null
    this.viewport.fit(milliseconds)
  }

  /** Puts images where they lay at another snapshot; null: back again. */
  become(snapshot: Snapshot | null): void {
    this.planes.show(snapshot)
    void this.probe.refresh()
  }

  /** Takes new codes of all images: what was made beforehand from older ones no longer counts. */
  learn(latents: Float32Array, logVars: Float32Array | null): void {
    this.points.move(latents, logVars)
    this.outdated = true
    this.planes.relay()
    this.pins.complete()
    this.decodeAgain()
  }

  // -- networks ---------------------------------------------------------------------------------

  /** Decodes what was waiting for the engine. */
  engineStarted(engine: Engine): void {
    this.networks.engine = engine
    this.networks.state = 'ready'
    this.decodeAgain()
  }

  /** Decodes as another class from now on. */
  recondition(condition: number): void {
    const { engine } = this.networks
    if (!engine || engine.condition === condition) return
    engine.condition = condition
    this.decodeAgain()
  }

  private decodeAgain(): void {
    void this.probe.refresh()
    this.pins.decode()
  }

  // -- pins, samples, ends ----------------------------------------------------------------------

  /** Which images can be shown, where not all of them can. */
  get carried(): ((index: number) => boolean) | undefined {
    const { originals } = this.networks
    return originals && !this.backend.pictured ? (index) => originals.has(index) : undefined
  }

  /** The image within so many css pixels of a place, or null; in the machine one that can be shown. */
  hit(u: number, v: number, reach: number): number | null {
    if (this.crowd) return null
    const { carried, classes } = this
    const fits = this.mode === 'machine' && carried ? (n: number) => classes.isShown(n) && carried(n) : classes.isShown
    const [near] = this.planes.index.nearest(u, v, 1, fits)
    return near && near.distance * this.viewport.view.scale <= reach ? near.index : null
  }

  /** Pins the image hit, or else the place itself. */
  pinAt(u: number, v: number, index: number | null): Promise<void> {
    if (index !== null) return this.pins.addImage(index)
    const { classes, crowd, viewport } = this
    const row = crowd?.hit([u, v], REACH / viewport.view.scale, (label) => classes.shown[label] ?? true)
    if (row != null) return this.pinImage(row)
    const z = this.toLatent(u, v)
    return this.pins.add({ z, label: this.points.say(z), original: null, sigma: null })
  }

  /** Pins an image by its place in the set. */
  async pinImage(row: number): Promise<void> {
    if (!this.crowd) return this.pins.addImage(row)
    const found = await this.crowd.image({ row })
    if (found) await this.pins.addImage(0, found)
  }

  /** Pins an image and brings the map close to it. */
  goTo(index: number, points = this.points): void {
    const { viewport, planes } = this
    const whole = viewport.whole()
    const [u, v] = points === this.points ? planes.place(index) : planes.ofLatent(points.z(index))!
    const { width, height } = viewport.view
    const { left, right, top, bottom } = viewport.insets
    const scale = Math.max(viewport.view.scale, 4 * whole.scale)
    const x = (left + width - right) / 2 - u * scale
    const y = (top + height - bottom) / 2 + v * scale
    viewport.camera?.show({ scale, x, y, width, height }, 500)
    void this.pins.addImage(index, points)
    this.probe.look(u, v, 'keys')
  }

  /** Pins where the probe is: its nearest image when that is close by. */
  pinProbe(): void {
    const { at } = this.probe
    if (at) void this.pinAt(at.u, at.v, this.hit(at.u, at.v, 14))
  }

  /** Shows codes drawn from the prior beside codes drawn from where the data are. */
  putSamples(prior: Float32Array, data: Float32Array): void {
    const { D } = this.points
    const rows = (z: Float32Array, isPrior: boolean): Sample[] =>
      Array.from({ length: z.length / D }, (_, n) => ({ z: z.slice(n * D, (n + 1) * D), prior: isPrior }))
    this.samples = [...rows(prior, true), ...rows(data, false)]
  }

  /** Sets an end and opens the morph. */
  morph(end: 'a' | 'b', z: Float32Array): void {
    this.setEnd(end, z)
    this.mode = 'morph'
    const other = end === 'a' ? 'b' : 'a'
    this.announce(`End ${end.toUpperCase()} of the morph is set.${this.ends[other] ? '' : ` Choose end ${other.toUpperCase()}.`}`)
  }

  setEnd(end: 'a' | 'b', z: Float32Array): void {
    this.ends = { ...this.ends, [end]: z }
    this.surface.redraw()
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

/** css pixels within which a click means a code. */
const REACH = 8

const KEY = Symbol('explorer')

export const provideExplorer = (explorer: Explorer): Explorer => setContext(KEY, explorer)
export const useExplorer = (): Explorer => getContext(KEY)
