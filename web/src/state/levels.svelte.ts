/** A ladder's layers: what an image keeps of itself, and what is drawn anew below. */

import { mse } from '../core/difference'
import { normal } from '../core/random'
import { stack, unstack } from '../core/rows'
import type { Explorer } from './explorer.svelte'
import type { Pin } from './pins.svelte'
import { ofPrior } from './sampling'
import { oneOf } from './lasting.svelte'

/** Images drawn at once. */
const DRAWS = 8

/** What the encoder says of an image, layer by layer. */
interface Inferred {
  z: Float32Array
  below: Float32Array
}

export class Levels {
  /** Numbers in each layer, the top first. */
  readonly sizes: readonly number[]
  /** Which layers stay as the image has them. */
  kept = $state<boolean[]>([])
  images = $state.raw<Float32Array[]>([])
  /** The image with all of its layers kept; null where there is no image. */
  whole = $state.raw<Float32Array | null>(null)
  /** Whether the layers below the top are known, so that they can be kept. */
  known = $state(false)
  private run = 0

  constructor(private readonly explorer: Explorer) {
    const { latent, below } = explorer.manifest.model
    this.sizes = [latent, ...below!]
    this.keep(1)
  }

  /** Keeps so many layers from the top, and draws those below. */
  keep(top: number): void {
    this.kept = this.sizes.map((_, level) => level < top)
  }

  /** Mean squared error of the reconstruction from all layers, in squared pixels. */
  get error(): number | null {
    const original = this.explorer.pins.pin?.original
    return this.whole && original ? mse(original, this.whole) : null
  }

  /** Draws anew; a newer call overtakes an older one. */
  async draw(): Promise<void> {
    const run = ++this.run
    const { explorer } = this
    const { pin } = explorer.pins
    if (explorer.networks.state !== 'ready' || !pin) {
      this.images = []
      this.whole = null
      return
    }
    const { z, below } = await this.infer(pin)
    const kept = this.kept.map((keep, level) => keep && (level === 0 || below !== null))
    const count = kept.every(Boolean) ? 1 : DRAWS
    const top = kept[0] ? stack(Array(count).fill(z)) : await ofPrior(explorer, count)
    const rows = Array.from({ length: count }, () => this.rowBelow(below, kept))
    const keep = Array(count).fill(kept.slice(1).map(Number))
    const images = await explorer.networks.decode(top, { below: stack(rows), keep: stack(keep) })
    const whole = below && (await explorer.networks.decode(z, { below, keep: new Float32Array(kept.length - 1).fill(1) }))
    if (run !== this.run) return
    this.known = below !== null
    this.images = unstack(images, images.length / count)
    this.whole = whole
  }

  private async infer({ z, original, index }: Pin): Promise<Inferred | { z: Float32Array; below: null }> {
    if (!original) return { z, below: null }
    const { explorer } = this
    const { mean, below } = await explorer.networks.encode(original, index === null ? {} : explorer.networks.told(index))
    return { z: mean, below: below! }
  }

  /** Values where a layer is kept, noise where it is drawn. */
  private rowBelow(below: Float32Array | null, kept: readonly boolean[]): Float32Array {
    const levels = this.sizes.slice(1).flatMap((size, i) => Array<boolean>(size).fill(kept[i + 1]))
    return Float32Array.from(levels, (keep, i) => (keep ? below![i] : normal()))
  }
}

export const levelsOf = oneOf((explorer) => new Levels(explorer))
