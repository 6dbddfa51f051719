/** Who lives near: on the map's plane, and in the latent space itself. */

import Flatbush from 'flatbush'

export interface Neighbour {
  index: number
  distance: number
}

/** Nearest points on the plane, by a packed tree. */
export class PlaneIndex {
  private built: Flatbush | null = null

  /** Of all points, or of those from `first` up to `end`. */
  constructor(
    private readonly positions: Float32Array,
    private readonly first = 0,
    private readonly end = positions.length / 2,
  ) {}

  /** Made when it is first asked: the page shows its points before. */
  private get tree(): Flatbush {
    return (this.built ??= this.build())
  }

  private build(): Flatbush {
    const { positions, first, end } = this
    const tree = new Flatbush(Math.max(end - first, 1), 16, Float32Array)
    for (let i = first; i < end; i++) tree.add(positions[2 * i], positions[2 * i + 1])
    if (end === first) tree.add(Infinity, Infinity)
    tree.finish()
    return tree
  }

  nearest(u: number, v: number, count: number, keep?: (index: number) => boolean): Neighbour[] {
    const { first, positions } = this
    const kept = keep && ((row: number): boolean => keep(row + first))
    return this.tree.neighbors(u, v, count, Infinity, kept).map((row) => {
      const index = row + first
      return { index, distance: Math.hypot(positions[2 * index] - u, positions[2 * index + 1] - v) }
    })
  }

  /** Indices of the points inside the box. */
  within(x: [number, number], y: [number, number]): number[] {
    return this.tree.search(x[0], y[0], x[1], y[1]).map((row) => row + this.first)
  }
}

/** The `count` nearest rows of a matrix to a vector, nearest first, by looking at every row. */
export function nearestRows(
  rows: ArrayLike<number>,
  D: number,
  z: ArrayLike<number>,
  count: number,
  keep?: (index: number) => boolean,
): Neighbour[] {
  const best: Neighbour[] = []
  let limit = Infinity
  for (let n = 0; n < rows.length / D; n++) {
    const squared = squaredDistance(rows, n * D, z, D, limit)
    if (squared >= limit || (keep && !keep(n))) continue
    insert(best, { index: n, distance: squared }, count)
    if (best.length === count) limit = best[count - 1].distance
  }
  return best.map(({ index, distance }) => ({ index, distance: Math.sqrt(distance) }))
}

/** Σ (a − b)², given up once it exceeds `limit`. */
function squaredDistance(
  rows: ArrayLike<number>,
  from: number,
  z: ArrayLike<number>,
  D: number,
  limit: number,
): number {
  let sum = 0
  for (let d = 0; d < D && sum < limit; d++) {
    const difference = rows[from + d] - z[d]
    sum += difference * difference
  }
  return sum
}

function insert(best: Neighbour[], item: Neighbour, count: number): void {
  let at = best.length
  while (at > 0 && best[at - 1].distance > item.distance) at--
  best.splice(at, 0, item)
  if (best.length > count) best.pop()
}
