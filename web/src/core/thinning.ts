/** Which points to show where there is no room for all of them. */

/** Shares of a cell that two points shown keep apart. */
const APART = 0.7

/**
 * Points from `first` to `end` that lie apart: at most one in each square cell of the plane, and none close to one in a
 * neighbouring cell. The same ones wherever the map stands.
 */
export function thinned(
  positions: Float32Array,
  first: number,
  end: number,
  cell: number,
  keep: (index: number) => boolean,
): number[] {
  const taken = new Map<number, number>()
  const key = (column: number, row: number): number => column * 0x200000 + row
  const close = (n: number, other: number | undefined): boolean =>
    other !== undefined &&
    Math.max(Math.abs(positions[2 * n] - positions[2 * other]), Math.abs(positions[2 * n + 1] - positions[2 * other + 1])) <
      APART * cell
  const crowded = (n: number, column: number, row: number): boolean => {
    for (let x = column - 1; x <= column + 1; x++)
      for (let y = row - 1; y <= row + 1; y++) if (close(n, taken.get(key(x, y)))) return true
    return taken.has(key(column, row))
  }
  const found: number[] = []
  for (let n = first; n < end; n++) {
    const [column, row] = [Math.floor(positions[2 * n] / cell), Math.floor(positions[2 * n + 1] / cell)]
    if (!keep(n) || crowded(n, column, row)) continue
    taken.set(key(column, row), n)
    found.push(n)
  }
  return found
}
