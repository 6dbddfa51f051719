/** Tiles of all codes of a large set: how many of each class lie in each cell, or the codes themselves. */

import type { Tile } from './tiles'

/** What a page is told of a set that only its server has. */
export interface PyramidEntry {
  /** Codes, and those of each class. */
  count: number
  classes: number[]
  /** All coordinates are below 2^exponent. */
  exponent: number
  /** The depth of the smallest tiles; those of depth 1 are 2^exponent wide. */
  deepest: number
  /** Cells along a side of a tile. */
  side: number
  /** Whether the server has the images. */
  pictured: boolean
}

/** Codes of a tile, one by one. */
export interface Near {
  places: Float32Array
  /** Their places in the set. */
  rows: Uint32Array
  labels: Uint16Array
}

/** Codes of each class in cells of a tile; the cells of the lowest row come first. */
export interface Counts {
  counts: Uint32Array
  cells: Uint16Array
  labels: Uint16Array
}

/** What the server sends of a tile. */
export function readTile(buffer: ArrayBuffer): Near | Counts {
  const [n, near] = new Uint32Array(buffer, 0, 2)
  if (near)
    return {
      places: new Float32Array(buffer, 8, 2 * n),
      rows: new Uint32Array(buffer, 8 + 8 * n, n),
      labels: new Uint16Array(buffer, 8 + 12 * n, n),
    }
  return {
    counts: new Uint32Array(buffer, 8, n),
    cells: new Uint16Array(buffer, 8 + 4 * n, n),
    labels: new Uint16Array(buffer, 8 + 6 * n, n),
  }
}

/** The tile as the server counts: its depth, and its column and row from the lower left. */
export function address({ level, i, j }: Tile, { exponent, side }: PyramidEntry): [number, number, number] {
  const depth = exponent + 1 - level - Math.log2(side)
  const half = 2 ** (depth - 1)
  return [depth, i + half, j + half]
}

/** The level nearest to one that there are tiles of. */
export function nearestLevel(level: number, { exponent, deepest, side }: PyramidEntry): number {
  const top = exponent - Math.log2(side)
  return Math.min(top, Math.max(top + 1 - deepest, level))
}

/** Whether any code can lie in a tile. */
export function occupied(tile: Tile, entry: PyramidEntry): boolean {
  const [depth, i, j] = address(tile, entry)
  return Math.min(i, j) >= 0 && Math.max(i, j) < 2 ** depth
}

/** Many near tiles as one. */
export function joined(tiles: readonly Near[]): Near {
  const count = tiles.reduce((sum, { rows }) => sum + rows.length, 0)
  const all = { places: new Float32Array(2 * count), rows: new Uint32Array(count), labels: new Uint16Array(count) }
  let at = 0
  for (const { places, rows, labels } of tiles) {
    all.places.set(places, 2 * at)
    all.rows.set(rows, at)
    all.labels.set(labels, at)
    at += rows.length
  }
  return all
}

/** The row of the nearest of some codes within reach of a place; null where there is none. */
export function nearestRow(
  { places, rows, labels }: Near,
  [u, v]: [number, number],
  reach: number,
  shown: (label: number) => boolean,
): number | null {
  let [row, best] = [null as number | null, reach * reach]
  for (let n = 0; n < rows.length; n++) {
    const squared = (places[2 * n] - u) ** 2 + (places[2 * n + 1] - v) ** 2
    if (squared <= best && shown(labels[n])) [row, best] = [rows[n], squared]
  }
  return row
}

/** How dense, in units of the mean density, is drawn as strongly as can be. */
const DENSEST = 20
const [FAINT, STRONG] = [0.14, 0.95]

/**
 * RGBA of a tile's cells, the upper row first: the colour is the mean over the codes, the opacity grows
 * with the logarithm of their number. `weights` say how much a code of each class counts; `typical` codes
 * in a cell are the mean density.
 */
export function shaded(
  { counts, cells, labels }: Counts,
  side: number,
  colours: Uint8Array,
  weights: Float32Array,
  typical: number,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * side * side)
  for (let n = 0; n < counts.length; ) {
    const cell = cells[n]
    let [r, g, b, total] = [0, 0, 0, 0]
    for (; n < counts.length && cells[n] === cell; n++) {
      const weight = counts[n] * weights[labels[n]]
      r += weight * colours[3 * labels[n]]
      g += weight * colours[3 * labels[n] + 1]
      b += weight * colours[3 * labels[n] + 2]
      total += weight
    }
    if (total === 0) continue
    const share = Math.log1p((8 * total) / typical) / Math.log1p(8 * DENSEST)
    const at = 4 * ((side - 1 - Math.floor(cell / side)) * side + (cell % side))
    pixels[at] = r / total
    pixels[at + 1] = g / total
    pixels[at + 2] = b / total
    pixels[at + 3] = 255 * Math.min(STRONG, FAINT + (STRONG - FAINT) * share)
  }
  return pixels
}
