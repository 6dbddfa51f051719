/** The decoded background: blocks of cells at power-of-two sizes, decoded where the view is. */

import { visible, type View } from './view'

/** A block of `SIDE` × `SIDE` cells; its cells are 2^level of the plane wide. */
export interface Tile {
  level: number
  i: number
  j: number
}

export const tileKey = ({ level, i, j }: Tile): string => `${level}/${i}/${j}`

/** Cells along a side, so that a block stays about 256 pixels wide. */
export function sideFor(imageSize: number): number {
  return 2 ** Math.max(0, Math.min(3, Math.round(Math.log2(256 / imageSize))))
}

/** The level whose cells are at least `cell` css pixels wide, and less than twice that. */
export const levelFor = (view: View, cell: number): number => Math.ceil(Math.log2(cell / view.scale))

/** Where the tile lies on the plane: left, bottom, width. */
export function tileBox({ level, i, j }: Tile, side: number): [number, number, number] {
  const width = side * 2 ** level
  return [i * width, j * width, width]
}

export const parent = ({ level, i, j }: Tile): Tile => ({
  level: level + 1,
  i: Math.floor(i / 2),
  j: Math.floor(j / 2),
})

/** The tiles the view needs, those around `centre` (plane coordinates) first. */
export function needed(view: View, level: number, side: number, centre: [number, number]): Tile[] {
  const width = side * 2 ** level
  const { x, y } = visible(view)
  const tiles: Tile[] = []
  for (let j = Math.floor(y[0] / width); j * width < y[1]; j++)
    for (let i = Math.floor(x[0] / width); i * width < x[1]; i++) tiles.push({ level, i, j })
  const away = ({ i, j }: Tile): number =>
    Math.hypot((i + 0.5) * width - centre[0], (j + 0.5) * width - centre[1])
  return tiles.sort((a, b) => away(a) - away(b))
}

/** Plane coordinates of the cells in one row of a tile, left to right; row 0 is the top. */
export function rowCells(tile: Tile, side: number, row: number): [number, number][] {
  const [left, bottom] = tileBox(tile, side)
  const cell = 2 ** tile.level
  const v = bottom + (side - row - 0.5) * cell
  return Array.from({ length: side }, (_, column) => [left + (column + 0.5) * cell, v])
}

/** Keeps the values used last. */
export class Recent<V> {
  private readonly values = new Map<string, V>()

  constructor(private readonly limit: number) {}

  get(key: string): V | undefined {
    const value = this.values.get(key)
    if (value !== undefined) {
      this.values.delete(key)
      this.values.set(key, value)
    }
    return value
  }

  set(key: string, value: V): void {
    this.values.delete(key)
    this.values.set(key, value)
    if (this.values.size > this.limit) this.values.delete(this.values.keys().next().value!)
  }

  each(use: (key: string, value: V) => void): void {
    this.values.forEach((value, key) => use(key, value))
  }

  clear(): void {
    this.values.clear()
  }
}
