/** Where the person looks: what is decoded there, and what the data say about it. */

import type { Neighbour } from '../core/neighbours'
import type { Points } from '../core/points'
import { mix, support, type Share } from '../core/support'
import { Dropped } from '../engine/engine'
import type { Networks } from './networks.svelte'
import type { Planes } from './planes.svelte'

/** A place on the plane and the code behind it. */
export interface Place {
  u: number
  v: number
  z: Float32Array
  /** `partner`: the other of two pages side by side. */
  by: 'pointer' | 'keys' | 'touch' | 'partner'
}

/** What the data say about a code. */
export interface Facts {
  nearest: Neighbour | null
  mix: Share[]
  /** Share of the images that lie at least as lonely. */
  support: number
  extrapolation: boolean
}

const SUPPORT_NEIGHBOURS = 50
const EXTRAPOLATION = 0.005

export class Probe {
  at = $state.raw<Place | null>(null)
  /** The image there, null until it has been decoded. */
  image = $state.raw<Float32Array | null>(null)
  facts = $state.raw<Facts | null>(null)
  /** How lonely images of the set are, sorted. */
  yardstick: Float32Array = new Float32Array()
  /** What stands in for the decoder while nothing decodes; the map itself puts it here. */
  standIn: (u: number, v: number) => Float32Array | null = () => null
  private around: ReturnType<typeof setTimeout> | null = null

  constructor(
    private readonly points: Points,
    private readonly planes: Planes,
    private readonly networks: Networks,
    private readonly toLatent: (u: number, v: number) => Float32Array,
  ) {}

  /** Looks at a place: its image is decoded, its neighbours looked up. */
  look(u: number, v: number, by: Place['by']): void {
    this.at = { u, v, by, z: this.toLatent(u, v) }
    void this.refresh()
  }

  /** Looks at an image of the set. */
  lookAt(index: number, by: Place['by'] = 'keys'): void {
    this.look(...this.planes.place(index), by)
  }

  /** The pointer has left the map. */
  lookAway(): void {
    if (this.at?.by === 'pointer') this.at = null
  }

  /** Looks nowhere. */
  forget(): void {
    this.at = null
  }

  async refresh(): Promise<void> {
    const { at, networks } = this
    if (!at) return
    this.lookAround()
    if (!networks.engine || networks.state !== 'ready') {
      this.image = this.standIn(at.u, at.v)
      return
    }
    try {
      this.image = await networks.engine.hover(at.z)
    } catch (error) {
      if (!(error instanceof Dropped)) throw error
    }
  }

  /** Looks up the neighbours: at once on a plane, a few times a second where all rows are read. */
  private lookAround(): void {
    if (this.planes.snapshot && this.points.D !== 2) {
      this.facts = null
      return
    }
    if (this.points.tree) {
      this.facts = this.at && this.factsAt(this.at.z)
      return
    }
    this.around ??= setTimeout(() => {
      this.around = null
      if (this.at) this.facts = this.factsAt(this.at.z)
    }, 60)
  }

  /** What the data say about a code. */
  factsAt(z: Float32Array): Facts {
    const { points, planes } = this
    const near = planes.snapshot
      ? planes.index.nearest(z[0], z[1], SUPPORT_NEIGHBOURS)
      : points.nearest(z, SUPPORT_NEIGHBOURS)
    const backing = planes.snapshot ? 1 : support(this.yardstick, near.at(-1)?.distance ?? Infinity)
    return {
      nearest: near[0] ?? null,
      mix: mix(near, points.labels),
      support: backing,
      extrapolation: backing < EXTRAPOLATION,
    }
  }
}
