/** Where the names of the classes stand on the map. */

import type { Point, View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import { NAME_FONT, type Context } from './pen'

export interface Name {
  label: number
  text: string
  colour: string
  /** The middle of the text, in css pixels. */
  x: number
  y: number
}

/** A class's name on each of its islands, the largest classes first, none over another, a pin or an end of the morph; they travel as their images do. */
export function placedNames(context: Context, view: View, e: Explorer, positions = e.planes.plane.positions): Name[] {
  context.font = NAME_FONT
  const taken = marked(e).map(([x, y]) => new DOMRect(x - MARK, y - MARK, 2 * MARK, 2 * MARK))
  return e.planes.names.flatMap(({ label, index }) => {
    if (!e.classes.shown[label]) return []
    const [x, y] = e.viewport.toScreen(positions[2 * index], positions[2 * index + 1])
    const text = shortened(e.manifest.data.classes[label])
    const half = context.measureText(text).width / 2 + 5
    const free = (e.points.codebook ? BESIDE : NUDGES).map((nudge) => new DOMRect(x - half, y + nudge - 11, 2 * half, 22)).find(
      (box) => inside(box, view) && !taken.some((other) => overlaps(box, other)),
    )
    if (!free) return []
    taken.push(free)
    return [{ label, text, colour: `color-mix(in oklab, ${e.classes.colours[label]} 45%, white)`, x, y: free.y + 11 }]
  })
}

/** Room about a pin or an end of the morph, in css pixels. */
const MARK = 9

function marked({ pins, planes, ends, viewport }: Explorer): Point[] {
  const pinned = pins.list.map(({ index, z }) => (index === null ? planes.ofLatent(z) : planes.place(index)))
  const found = [...pinned, ...[ends.a, ends.b].map((z) => z && planes.ofLatent(z))]
  return found.flatMap((at) => (at ? [viewport.toScreen(...at)] : []))
}

/** A name of at most 28 characters, for the map. */
const shortened = (name: string): string => (name.length > 28 ? `${name.slice(0, 27)}…` : name)

/** How far a name may move to make room for another, in pixels. */
const NUDGES = [0, 20, -20, 32, -32]
/** Where all images of a code are one point, which a name would hide. */
const BESIDE = [-18, 18, -36, 36]

const overlaps = (a: DOMRect, b: DOMRect): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom

const inside = (box: DOMRect, view: View): boolean =>
  box.right > 0 && box.left < view.width && box.bottom > 0 && box.top < view.height
