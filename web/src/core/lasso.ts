/** Which points a drawn outline holds, and the history of what was drawn. */

import simplify from 'simplify-js'

export type Point = readonly [number, number]
export type Operation = 'replace' | 'add' | 'subtract'

/** One stroke: an outline on the map and what it does to the selection before it. */
export interface Stroke {
  operation: Operation
  outline: readonly Point[]
}

/** The four corners of a rectangle dragged from one to the opposite one. */
export const rectangle = ([x, y]: Point, [u, v]: Point): Point[] => [
  [x, y],
  [u, y],
  [u, v],
  [x, v],
]

/** The outline with only the points that matter, to a tolerance in its own units. */
export const simplified = (outline: readonly Point[], tolerance: number): Point[] =>
  simplify(
    outline.map(([x, y]) => ({ x, y })),
    tolerance,
    true,
  ).map(({ x, y }) => [x, y] as const)

export interface Mask {
  cols: number
  rows: number
  inside: Uint8Array
}

/**
 * Cells of a grid whose centres the outline holds; `outline` is in cells, (0, 0) the corner of the
 * first. Where it crosses itself everything enclosed counts (the non-zero winding rule), as a hand expects.
 */
export function rasterise(outline: readonly Point[], cols: number, rows: number): Mask {
  const inside = new Uint8Array(cols * rows)
  for (let line = 0; line < rows; line++) {
    const crossings = crossingsAt(outline, line + 0.5).sort((a, b) => a[0] - b[0])
    let winding = 0
    crossings.forEach(([x, turn], i) => {
      winding += turn
      if (winding !== 0)
        inside.fill(
          1,
          line * cols + cellFrom(x, cols),
          line * cols + cellFrom(crossings[i + 1][0], cols),
        )
    })
  }
  return { cols, rows, inside }
}

/** First cell whose centre is at or right of x. */
const cellFrom = (x: number, cols: number): number =>
  Math.min(cols, Math.max(0, Math.ceil(x - 0.5)))

/** Where the outline crosses a horizontal line: x, and +1 downwards or −1 upwards. */
function crossingsAt(outline: readonly Point[], y: number): [number, number][] {
  const found: [number, number][] = []
  outline.forEach(([x0, y0], i) => {
    const [x1, y1] = outline[(i + 1) % outline.length]
    if (y0 <= y !== y1 <= y) found.push([x0 + ((y - y0) / (y1 - y0)) * (x1 - x0), y1 > y0 ? 1 : -1])
  })
  return found
}

/** Cells along each side of the mask a stroke is drawn into: finer than a screen shows. */
const CELLS = 1024

/** 1 for each point of the map (N, 2) that the outline holds. */
export function within(outline: readonly Point[], map: Float32Array): Uint8Array {
  const held = new Uint8Array(map.length / 2)
  if (outline.length < 3) return held
  const [left, right] = bounds(outline.map((p) => p[0]))
  const [low, high] = bounds(outline.map((p) => p[1]))
  const [across, along] = [CELLS / (right - left || 1), CELLS / (high - low || 1)]
  const mask = rasterise(
    outline.map(([x, y]) => [(x - left) * across, (y - low) * along]),
    CELLS,
    CELLS,
  )
  for (let i = 0; i < held.length; i++) {
    const [x, y] = [map[2 * i], map[2 * i + 1]]
    if (x < left || x > right || y < low || y > high) continue
    const col = Math.min(CELLS - 1, Math.floor((x - left) * across))
    held[i] = mask.inside[Math.min(CELLS - 1, Math.floor((y - low) * along)) * CELLS + col]
  }
  return held
}

const bounds = (values: readonly number[]): [number, number] => [
  Math.min(...values),
  Math.max(...values),
]

/** The selection after all strokes, in order. */
export function selected(strokes: readonly Stroke[], map: Float32Array): Uint8Array {
  let chosen = new Uint8Array(map.length / 2)
  for (const { operation, outline } of strokes) {
    const held = within(outline, map)
    if (operation === 'replace') chosen = new Uint8Array(held)
    else
      for (let i = 0; i < chosen.length; i++) if (held[i]) chosen[i] = operation === 'add' ? 1 : 0
  }
  return chosen
}

/** Numbers of the points chosen. */
export function indices(chosen: Uint8Array): Uint32Array {
  const found: number[] = []
  chosen.forEach((one, i) => one && found.push(i))
  return Uint32Array.from(found)
}

/** States that can be undone and redone; a new state forgets what was undone. */
export interface History<T> {
  past: readonly T[]
  now: T
  future: readonly T[]
}

export const begin = <T>(now: T): History<T> => ({ past: [], now, future: [] })
export const commit = <T>({ past, now }: History<T>, next: T): History<T> => ({
  past: [...past, now],
  now: next,
  future: [],
})
export const undo = <T>(history: History<T>): History<T> =>
  history.past.length
    ? {
        past: history.past.slice(0, -1),
        now: history.past.at(-1)!,
        future: [history.now, ...history.future],
      }
    : history
export const redo = <T>(history: History<T>): History<T> =>
  history.future.length
    ? {
        past: [...history.past, history.now],
        now: history.future[0],
        future: history.future.slice(1),
      }
    : history
