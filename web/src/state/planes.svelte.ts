/** The planes that the map can show, the one it shows, and what lies where on it. */

import { ellipse, type Ellipse } from '../core/ellipse'
import { PlaneIndex } from '../core/neighbours'
import { eachFirst, foremost, islands } from '../core/islands'
import { axes, extent, relaid, snapped, type Plane } from '../core/plane'
import { medoids, type Medoid, type Points } from '../core/points'
import type { Box, Point } from '../core/view'

/** Another snapshot of the training: where some of the images lay, and who was near whom. */
export interface Snapshot {
  plane: Plane
  first: number
  end: number
}

/** Images that tell how many lie somewhere. */
const ENOUGH = 4000

export class Planes {
  plane = $state.raw() as Plane
  /** The window that holds the data. */
  home = $state.raw() as Box
  /** Nearest points on the plane shown. */
  index = $state.raw() as PlaneIndex
  /** Where the names of classes stand: the largest island of each class first, the largest classes first. */
  names = $state.raw<Medoid[]>([])
  /** The image that stands for each class, the largest classes first. */
  medoids = $state.raw<Medoid[]>([])
  /** Milliseconds that the points take to their new places while a training is played with; null: as long as a person follows. */
  pace: number | null = null
  /** The snapshot of the training that is shown; null: its end, or its newest. */
  snapshot = $state.raw<Snapshot | null>(null)
  private readonly pairs = new Map<string, Plane>()
  /** Whether the images lie elsewhere than when the page was made. */
  private moved = false

  constructor(
    readonly points: Points,
    public list: readonly Plane[],
  ) {
    this.use(list[0])
  }

  /** Takes a plane and what is known of it: computed once, not derived at every reading. */
  use(plane: Plane): void {
    const { tree, latents } = this.points
    this.plane = plane
    this.home = extent(plane.positions)
    this.index = tree && plane.positions === latents ? tree : new PlaneIndex(plane.positions)
    this.middles(plane)
  }

  /** As Python found them; where the images have moved since, the image nearest to each class's mean. */
  private middles(plane: Plane, first?: number, end?: number): void {
    const { islands: known, representatives } = this.points.manifest
    const found = medoids(plane.positions, this.points, first, end)
    const fixed = !this.moved && first === undefined
    const at = (index: number): Point => [plane.positions[2 * index], plane.positions[2 * index + 1]]
    this.medoids = found.map((one) => {
      const index = (fixed ? representatives?.[one.label] : null) ?? one.index
      return index === one.index ? one : { label: one.label, index, at: at(index) }
    })
    this.names =
      fixed && known
        ? eachFirst(
            found.flatMap(({ label }) =>
              known.filter((one) => one.label === label).map(({ index }) => ({ label, index, at: at(index) })),
            ),
          )
        : eachFirst(islands(plane.positions, this.points, first, end))
    const { codebook, labels } = this.points
    if (codebook && labels) this.names = foremost(this.names, plane.positions, labels)
  }

  /** Puts images where they lay at another snapshot, the others out of sight; null: all back again. */
  show(snapshot: Snapshot | null): void {
    const stayed = this.plane === this.snapshot?.plane
    this.snapshot = snapshot
    if (snapshot) {
      const { plane, first, end } = snapshot
      this.plane = plane
      this.index = new PlaneIndex(plane.positions, first, end)
      this.middles(plane, first, end)
    } else if (stayed) this.use(this.list[0])
  }

  /** Lays the planes anew after the points have moved. */
  relay(): void {
    this.moved = true
    const { id } = this.plane
    const { codebook } = this.points
    this.list = relaid([...this.list], this.points).map((plane) => snapped(plane, codebook))
    this.pairs.clear()
    this.use(this.of(id) ?? this.list[0])
  }

  /** The plane called so: one of the page's, or two axes as in "axes-0-3"; null for no such plane. */
  of(id: string): Plane | null {
    const known = this.list.find((plane) => plane.id === id) ?? this.pairs.get(id)
    const [i, j] = (/^axes-(\d+)-(\d+)$/.exec(id) ?? []).slice(1).map(Number)
    const { latents, D, codebook } = this.points
    if (known || !(i < D && j < D && i !== j)) return known ?? null
    this.pairs.set(id, snapped(axes(latents, D, i, j), codebook))
    return this.of(id)
  }

  /** Where a place of the latent plane falls on the one shown, which has all of it, perhaps turned; null where it has not. */
  get turned(): ((at: Point) => Point) | null {
    const { points: { D }, plane, snapshot } = this
    return D === 2 && plane.basis && !snapshot ? (at) => plane.ofLatent(Float32Array.from(at))! : null
  }

  /** Where a code falls on the plane, or null. */
  ofLatent = (z: Float32Array): Point | null => this.plane.ofLatent(z)

  /** Where an image of the set lies. */
  place = (index: number): Point => [
    this.plane.positions[2 * index],
    this.plane.positions[2 * index + 1],
  ]

  /** Share of the images that lie outside a box, by some of them. */
  outside({ x, y }: Box): number {
    const { positions } = this.plane
    const stride = Math.ceil(positions.length / 2 / ENOUGH)
    let [out, count] = [0, 0]
    for (let n = 0; n < positions.length / 2; n += stride, count++) {
      const [u, v] = this.place(n)
      if (u < x[0] || u > x[1] || v < y[0] || v > y[1]) out++
    }
    return out / count
  }

  /** The representatives of the two classes that lie farthest apart on the plane. */
  farthest(): [number, number] | null {
    let [best, most] = [null as [number, number] | null, 0]
    for (const one of this.medoids)
      for (const other of this.medoids) {
        const distance = Math.hypot(one.at[0] - other.at[0], one.at[1] - other.at[1])
        if (distance > most) [best, most] = [[one.index, other.index], distance]
      }
    return best
  }

  /** A posterior on the plane at one standard deviation, or null. */
  spread(sigma: Float32Array | null): Ellipse | null {
    return sigma && this.plane.basis && ellipse(sigma, this.plane.basis)
  }
}
