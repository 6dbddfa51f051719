/** Where the points are drawn: on their plane, or on the way to it. */

import { easeCubicInOut, easeCubicOut } from 'd3-ease'
import { TRAVEL } from '../core/film'
import { offSlice, type Plane } from '../core/plane'
import type { Explorer } from '../state/explorer.svelte'

const ARRIVAL = 260
/** Milliseconds between two steps where the points are always on their way: 30 a second, for the training needs the processor too. */
const REST = 25
const FRAME = 1000 / 60

export class Journey {
  positions: Float32Array
  private plane: Plane
  private frame = 0
  /** When the points last took a step. */
  private stepped = 0

  constructor(
    private readonly explorer: Explorer,
    private readonly moved: () => void,
  ) {
    this.plane = explorer.planes.plane
    this.positions = explorer.planes.plane.positions
  }

  /** The first sight: points spread out from their classes' medoids. */
  arrive(): void {
    const { labels } = this.explorer.points
    if (!labels) return
    const centres = new Float32Array(2 * this.explorer.classes.shown.length)
    for (const { label, at } of this.explorer.planes.medoids) centres.set(at, 2 * label)
    const to = this.plane.positions
    const from = new Float32Array(to.length)
    for (let i = 0; i < to.length; i++) from[i] = to[i] + 0.35 * (centres[2 * labels[i >> 1] + (i & 1)] - to[i])
    this.travel(from, to, ARRIVAL, easeCubicOut)
  }

  /** Moves the points to another plane. */
  to(plane: Plane): void {
    if (plane === this.plane) return
    this.plane = plane
    const { pace } = this.explorer.planes
    this.travel(this.positions.slice(), plane.positions, pace ?? TRAVEL, pace ? easeCubicOut : easeCubicInOut)
  }

  private travel(
    from: Float32Array,
    to: Float32Array,
    milliseconds: number,
    ease: (share: number) => number,
  ): void {
    cancelAnimationFrame(this.frame)
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return this.settle(to)
    this.positions = from // what is drawn before the first step does not jump back at it
    let start = 0
    const positions = new Float32Array(to.length)
    const rest = this.explorer.planes.pace ? REST : 0
    const step = (now: number): void => {
      this.frame = requestAnimationFrame(step)
      if (now - this.stepped < rest) return
      this.stepped = now
      start ||= now - FRAME // a late first step skips nothing
      const share = (now - start) / milliseconds
      if (share >= 1) return this.settle(to)
      const eased = ease(share)
      for (let i = 0; i < to.length; i++) positions[i] = from[i] + (to[i] - from[i]) * eased
      this.positions = positions
      this.moved()
    }
    this.frame = requestAnimationFrame(step)
  }

  private settle(to: Float32Array): void {
    cancelAnimationFrame(this.frame)
    this.positions = to
    this.moved()
  }
}

/** How much of each point to show when the plane is a slice: less, the further it lies off. */
export function sliceFade({ planes, points, pins: { pin } }: Explorer): Uint8Array | null {
  const { plane, snapshot } = planes
  if (snapshot) return new Uint8Array(points.count).fill(255, snapshot.first, snapshot.end)
  if (!plane.exact || !plane.basis || points.D <= 2 || points.codebook) return null
  const squared = offSlice(points.latents, plane.toLatent(0, 0, pin?.z ?? null), plane.basis)
  const typical = squared.slice().sort()[squared.length >> 1] || 1
  return Uint8Array.from(squared, (value) => 64 + 191 * Math.exp(-value / (2 * typical)))
}
