import { beforeEach, describe, expect, it, vi } from 'vitest'
import { placedNames } from '../src/map/names'
import type { Context } from '../src/map/pen'
import type { Explorer } from '../src/state/explorer.svelte'

/** node has none. */
function Rect(left: number, top: number, width: number, height: number): object {
  return { y: top, left, top, right: left + width, bottom: top + height }
}

const view = { scale: 1, x: 0, y: 0, width: 400, height: 300 }
const context = { measureText: () => ({ width: 60 }) } as unknown as Context

/** A map with one name at (200, 150), a pin and an end of a morph. */
function placed(pin: [number, number] | null, end: [number, number] | null): number[] {
  const explorer = {
    manifest: { data: { classes: ['Bag'] } },
    classes: { shown: [true], colours: ['#fff'] },
    planes: { names: [{ label: 0, index: 0 }], place: () => pin, ofLatent: (z: Float32Array) => z },
    viewport: { toScreen: (x: number, y: number) => [x, y] },
    pins: { list: pin ? [{ index: 7 }] : [] },
    ends: { a: end, b: null },
  }
  return placedNames(context, view, explorer as unknown as Explorer, Float32Array.of(200, 150)).map(({ y }) => y)
}

describe('the names of classes', () => {
  beforeEach(() => vi.stubGlobal('DOMRect', Rect))

  it('stand on their images', () => expect(placed(null, null)).toEqual([150]))
  it('make room for a pin and for the ends of a morph', () => {
    expect(placed([180, 148], null)).toEqual([170])
    expect(placed([180, 170], [220, 150])).toEqual([130])
    expect(placed([40, 40], [399, 0])).toEqual([150])
  })
})
