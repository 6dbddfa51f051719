/** What a classifier says of the plane, on a grid whose first row is the top. */

import { outlines } from './grids'
import type { Share } from './support'
import type { Box, Point } from './view'

/** A class, and its probability or its share of the neighbours. */
export type Prediction = Share

export class Predictions {
  constructor(
    /** The predicted class of each cell, and how sure it is. */
    readonly labels: ArrayLike<number>,
    readonly shares: ArrayLike<number>,
    readonly side: number,
    readonly box: Box,
  ) {}

  /** The prediction at a place; null outside the grid. */
  at(u: number, v: number): Prediction | null {
    const { x, y } = this.box
    const cell = (value: number, [low, high]: Point): number => Math.floor(((value - low) / (high - low)) * this.side)
    const [column, row] = [cell(u, x), this.side - 1 - cell(v, y)]
    if (Math.min(column, row) < 0 || Math.max(column, row) >= this.side) return null
    const at = row * this.side + column
    return { label: this.labels[at], share: this.shares[at] }
  }

  /** The decision boundary: lines between cells of different classes, from either side. */
  boundaries(classes: number): Point[][] {
    const { side, box } = this
    const lines: Point[][] = []
    for (let label = 0; label < classes; label++) {
      const values = Float32Array.from({ length: side * side }, (_, i) => Number(this.labels[i] === label))
      if (values.includes(0) && values.includes(1)) lines.push(...outlines({ columns: side, rows: side, values, box }, 0.5))
    }
    return lines.flatMap((ring) => this.inside(ring))
  }

  /** The parts of a ring that do not run along the border of the grid. */
  private inside(ring: readonly Point[]): Point[][] {
    const { x, y } = this.box
    const near = (value: number, ends: Point): boolean => ends.some((end) => Math.abs(value - end) < 1e-6 * (ends[1] - ends[0]))
    const parts: Point[][] = []
    let part: Point[] = []
    for (const point of ring) {
      if (near(point[0], x) || near(point[1], y)) {
        if (part.length) parts.push([...part, point])
        part = [point]
      } else part.push(point)
    }
    if (part.length > 1) parts.push(part)
    return parts.filter((one) => one.length > 2)
  }
}
