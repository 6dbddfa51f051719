/** The networks, whether they run yet, and the images they are compared with. */

import type { Manifest } from '../core/manifest'
import type { Originals } from '../core/originals'
import type { Points } from '../core/points'
import type { Backend } from '../engine/backend'
import type { Encoded, Engine, Floats, Told } from '../engine/engine'

export class Networks {
  state = $state<'starting' | 'ready' | 'off'>('starting')
  /** The class a conditional decoder is told. */
  condition = $state(0)
  /** The images that the page carries. */
  originals = $state.raw<Originals | null>(null)
  engine: Engine | null = null

  constructor(
    private readonly backend: Backend,
    private readonly manifest: Manifest,
    private readonly points: Points,
  ) {}

  decode = (z: Float32Array, told?: Told): Promise<Floats> => this.backend.decode(z, told)
  encode = (x: Float32Array, told?: Told): Promise<Encoded> => this.backend.encode(x, told)

  /** What an image of the set is decoded to: in its own class, where the decoder is told one. */
  reconstruction = (index: number, points = this.points): Promise<Floats> =>
    this.decode(points.z(index), this.told(index, points))

  /** What the networks of a conditional model are told of an image: its own class. */
  told(index: number, { labels } = this.points): Told {
    const { conditional } = this.manifest.model
    if (!conditional || !labels) return {}
    const c = new Float32Array(conditional)
    c[labels[index]] = 1
    return { c }
  }

  /** The image itself; null where neither the page nor its server has it. */
  async original(index: number, points = this.points): Promise<Float32Array | null> {
    const held = points === this.points ? this.originals?.pixels(index) : null
    return held ?? (await this.backend.original(points.row(index)))
  }
}
