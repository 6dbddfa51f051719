/** The training film: which snapshot is shown, and the decoder of that snapshot. */

import { planeAt, trail, TRAVEL } from '../core/film'
import type { FilmEntry } from '../core/manifest'
import { extent, type Plane } from '../core/plane'
import type { Point } from '../core/view'
import { cutWeights, sizeOf } from '../core/weights'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'

/** One snapshot of the film, a little longer than the points take from one to the next. */
const FRAME_MILLISECONDS = 900

interface Reel {
  places: Float32Array
  weights: Float32Array
}

export class Film {
  readonly entry: FilmEntry
  /** Which snapshot is asked for; the last is the end of the training. */
  at = $state(0)
  playing = $state(false)
  /** The image that is followed through the training, its way, and what it was decoded to. */
  followed = $state.raw<{ index: number; trail: Point[] } | null>(null)
  reconstruction = $state.raw<Float32Array | null>(null)
  private reel: Promise<Reel | null> | null = null
  private readonly home: Plane

  constructor(private readonly explorer: Explorer) {
    this.entry = explorer.manifest.film!
    this.at = this.last
    this.home = explorer.planes.list[0]
  }

  get last(): number {
    return this.entry.snapshots.length - 1
  }

  /** Shows a snapshot: its images, and the decoder as it was. */
  async seek(at: number): Promise<void> {
    this.at = Math.max(0, Math.min(this.last, at))
    const { explorer, entry } = this
    if (this.at === this.last) return this.leave()
    const wanted = this.at
    const reel = await (this.reel ??= this.load())
    if (!reel) return this.leave()
    const { places, weights } = reel
    if (wanted !== this.at || explorer.mode !== 'film') return
    const size = sizeOf(entry.weights)
    const row = weights.subarray(wanted * size, (wanted + 1) * size)
    if (!explorer.planes.snapshot && explorer.planes.plane !== this.home) explorer.usePlane(this.home)
    explorer.networks.engine?.bind('decoder', cutWeights(row, entry.weights))
    const { first, count } = entry
    const plane = planeAt(this.home, entry, places, wanted)
    explorer.become({ plane, first, end: first + count })
    explorer.viewport.centre(extent(plane.positions.subarray(2 * first, 2 * (first + count))), TRAVEL)
    await this.reconstruct()
  }

  /** Follows an image of the film; another time, or anything else, lets it go. */
  async follow(index: number | null): Promise<void> {
    const { first, count } = this.entry
    const known = index !== null && index >= first && index < first + count
    this.reconstruction = null
    if (!known || index === this.followed?.index) this.followed = null
    else {
      const reel = await (this.reel ??= this.load())
      this.followed = reel && { index, trail: trail(this.home, this.entry, reel.places, index) }
    }
    this.explorer.surface.redraw()
    await this.reconstruct()
  }

  /** Decodes the followed image's code of the snapshot: on a plane or a line, its place is its code. */
  private async reconstruct(): Promise<void> {
    const { explorer, followed, at } = this
    const { D } = explorer.points
    if (!followed || D > 2) return
    const image = await explorer.networks.decode(Float32Array.from(followed.trail[at].slice(0, D)))
    if (followed === this.followed && at === this.at) this.reconstruction = image
  }

  /** Back to the trained decoder and all of the images. */
  leave(): void {
    this.at = this.last
    this.playing = false
    if (!this.explorer.planes.snapshot) return
    this.explorer.networks.engine?.bind('decoder', null)
    this.explorer.become(null)
    this.explorer.viewport.refit(TRAVEL)
    void this.reconstruct()
  }

  /** The film from the page; null, and a word to the person, where it cannot be read or run. */
  private async load(): Promise<Reel | null> {
    const { source } = this.explorer
    const { engine } = this.explorer.networks
    try {
      const [places, weights, network] = await Promise.all([
        source.floats('film_points'),
        source.floats('film_weights'),
        source.bytes('film_decoder'),
      ])
      await engine?.openParametric('decoder', network)
      return { places, weights }
    } catch (error) {
      const text = `The film cannot be shown: ${error instanceof Error ? error.message : String(error)}`
      this.explorer.notice = { tone: 'warning', text }
      return null
    }
  }

  /** Plays to the end, from the start when it is there already. */
  toggle(): void {
    this.playing = !this.playing
    if (this.playing && this.at === this.last) void this.seek(0)
  }

  /** Goes on while it plays; returns what stops it. */
  start(): () => void {
    const timer = setInterval(() => {
      void this.seek(this.at + 1)
    }, FRAME_MILLISECONDS)
    return () => clearInterval(timer)
  }
}

/** The explorer's one film: it outlives the panel that shows it. */
export const filmOf = oneOf((explorer) => new Film(explorer))
