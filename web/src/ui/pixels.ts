/** Who looks alike pixel by pixel, among the real images this page holds. */

import { nearestRows } from '../core/neighbours'
import type { Originals } from '../core/originals'
import type { Explorer } from '../state/explorer.svelte'

const held = new WeakMap<Originals, Uint8Array>()

/** All real images as bytes, read from the atlas once. */
function bytes(originals: Originals): Uint8Array {
  const known = held.get(originals) ?? originals.bytes()
  held.set(originals, known)
  return known
}

/** The images nearest to `image` by the distance of their pixels. */
export function pixelNeighbours(
  explorer: Explorer,
  image: Float32Array,
  self: number | null,
  count: number,
): number[] {
  const { originals } = explorer.networks
  const { manifest } = explorer
  if (!originals || !manifest.originals) return []
  const { first } = manifest.originals
  const near = nearestRows(
    bytes(originals),
    image.length,
    image.map((value) => value * 255),
    count,
    (row) => row + first !== self,
  )
  return near.map(({ index }) => index + first)
}
