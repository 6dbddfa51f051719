import { beforeEach, describe, expect, it, vi } from 'vitest'
import { eachFirst, foremost } from '../src/core/islands'
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
function placed(pin: [number, number] | null, end: [number, number] | null, codebook: object | null = null): number[] {
  const explorer = {
    manifest: { data: { classes: ['Bag'] } },
    points: { codebook },
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
  it('stand beside the one point that all images of a code are', () => expect(placed(null, null, {})).toEqual([132]))
  it('are one where classes share a code: that of the class with most images there', () => {
    const positions = Float32Array.of(1, 1, 1, 1, 1, 1, 2, 2)
    const names = [{ label: 0, index: 0 }, { label: 1, index: 1 }, { label: 0, index: 3 }].map((name) => ({ ...name, at: [0, 0] as [number, number] }))
    expect(foremost(names, positions, [0, 1, 1, 0]).map(({ label, index }) => [label, index])).toEqual([[1, 1], [0, 3]])
  })
  it('are there once for each class before any is there twice', () => {
    const names = [0, 0, 1, 2, 2, 2].map((label, index) => ({ label, index, at: [0, 0] as [number, number] }))
    expect(eachFirst(names).map(({ index }) => index)).toEqual([0, 2, 3, 1, 4, 5])
    expect(eachFirst([])).toEqual([])
  })
  it('make room for a pin and for the ends of a morph', () => {
    expect(placed([180, 148], null)).toEqual([170])
    expect(placed([180, 170], [220, 150])).toEqual([130])
    expect(placed([40, 40], [399, 0])).toEqual([150])
  })
})
