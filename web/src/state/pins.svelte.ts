/** Codes that stay: images of the set, places on the map, somebody's own pictures. */

import type { Indices } from '../core/codes'
import type { Points } from '../core/points'
import type { Networks } from './networks.svelte'

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

export class Pins {
  list = $state.raw<Pin[]>([])
  current = $state<number | null>(null)
  /** Which neighbour of the pin is looked at. */
  neighbour = -1
  private count = 0
  private fresh: { id: number; at: number } | null = null

  constructor(
    private readonly points: Points,
    private readonly networks: Networks,
    private readonly changed: () => void,
  ) {}

  /** The pin that is looked at. */
  get pin(): Pin | null {
    return this.list.find(({ id }) => id === this.current) ?? null
  }

  /** Pins an image of the set, or of some that came from a larger set. */
  async addImage(index: number, points = this.points): Promise<void> {
    const { networks } = this
    const own = points === this.points
    const held = own ? (networks.originals?.pixels(index) ?? null) : await networks.original(index, points)
    await this.add({
      z: points.z(index),
      index: own ? index : null,
      label: points.title(index),
      original: held,
      sigma: points.sigma(index),
      codes: points.codeOf(index),
    })
    const original = own && (held ?? (await networks.original(index)))
    if (original) this.change((pin) => (pin.index === index ? { ...pin, original } : pin))
  }

  /** Pins a code. */
  async add(
    given: Omit<Pin, 'id' | 'reconstruction' | 'index'> & { index?: number | null },
  ): Promise<void> {
    const same = this.list.find((pin) => given.index != null && pin.index === given.index)
    const id = same?.id ?? ++this.count
    if (!same) this.list = [...this.list, { index: null, ...given, id, reconstruction: null }]
    this.choose(id)
    this.fresh = same ? this.fresh : { id, at: performance.now() }
    if (!same && this.networks.state === 'ready') await this.reconstruct({ id, z: given.z })
  }

  /** Makes another pin the one that is looked at. */
  choose(id: number): void {
    this.current = id
    this.neighbour = -1
    this.changed()
  }

  remove(id: number): void {
    this.list = this.list.filter((pin) => pin.id !== id)
    if (this.current === id) this.current = this.list.at(-1)?.id ?? null
    this.changed()
  }

  /** Unpins what the last click pinned: it was the first half of a double click. */
  takeBack(now = performance.now()): void {
    if (this.fresh && now - this.fresh.at < 600) this.remove(this.fresh.id)
    this.fresh = null
  }

  /** Gives the pins of images what has come since they were set: places, spreads and originals. */
  complete(): void {
    const { points, networks } = this
    this.change((pin) => {
      const { index } = pin
      if (index === null) return pin
      const original = networks.originals?.pixels(index) ?? pin.original
      return { ...pin, z: points.z(index), sigma: points.sigma(index), original }
    })
  }

  /** Decodes all pins, with the decoder as it is now. */
  decode(): void {
    for (const pin of this.list) void this.reconstruct(pin)
  }

  private async reconstruct({ id, z }: Pick<Pin, 'id' | 'z'>): Promise<void> {
    const reconstruction = await this.networks.decode(z)
    this.change((pin) => (pin.id === id ? { ...pin, reconstruction } : pin))
  }

  private change(by: (pin: Pin) => Pin): void {
    this.list = this.list.map(by)
  }
}
