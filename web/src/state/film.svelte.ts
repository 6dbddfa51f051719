/** The training film: which moment is shown, and the decoder of that moment. */

import { planeAt } from '../core/film'
import type { FilmEntry } from '../core/manifest'
import type { Plane } from '../core/plane'
import { cutWeights, sizeOf } from '../core/weights'
import type { Explorer } from './explorer.svelte'

/** One moment of the film, a little longer than the points take from one to the next. */
const MOMENT_MILLISECONDS = 900

interface Reel {
  places: Float32Array
  weights: Float32Array
}

export class Film {
  readonly entry: FilmEntry
  /** Which moment is asked for; the last is the end of the training. */
  at = $state(0)
  playing = $state(false)
  private reel: Promise<Reel> | null = null
  private readonly home: Plane

  constructor(private readonly explorer: Explorer) {
    this.entry = explorer.manifest.film!
    this.at = this.last
    this.home = explorer.planes[0]
  }

  get last(): number {
    return this.entry.moments.length - 1
  }

  /** Shows a moment: its images, and the decoder as it was. */
  async seek(at: number): Promise<void> {
    this.at = Math.max(0, Math.min(this.last, at))
    const { explorer, entry } = this
    if (this.at === this.last) return this.leave()
    const wanted = this.at
    const { places, weights } = await (this.reel ??= this.load())
    if (wanted !== this.at || explorer.mode !== 'film') return
    const size = sizeOf(entry.weights)
    const row = weights.subarray(wanted * size, (wanted + 1) * size)
    explorer.engine?.wear('decoder', cutWeights(row, entry.weights))
    const { first, count } = entry
    explorer.become({ plane: planeAt(this.home, entry, places, wanted), first, end: first + count })
  }

  /** Back to the trained decoder and all of the images. */
  leave(): void {
    this.at = this.last
    this.playing = false
    if (!this.explorer.moment) return
    this.explorer.engine?.wear('decoder', null)
    this.explorer.become(null)
  }

  private async load(): Promise<Reel> {
    const { source, engine } = this.explorer
    const [places, weights, network] = await Promise.all([
      source.floats('film_points'),
      source.floats('film_weights'),
      source.bytes('film_decoder'),
    ])
    await engine?.loosen('decoder', network)
    return { places, weights }
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
    }, MOMENT_MILLISECONDS)
    return () => clearInterval(timer)
  }
}

const all = new WeakMap<Explorer, Film>()

/** The explorer's one film: it outlives the panel that shows it. */
export function filmOf(explorer: Explorer): Film {
  const known = all.get(explorer) ?? new Film(explorer)
  all.set(explorer, known)
  return known
}
