import { describe, expect, it } from 'vitest'
import { aligned, axes, identity, line, principal } from '../src/core/plane'
import type { Points } from '../src/core/points'
import { drawLayer } from '../src/map/overlays'
import { Planes } from '../src/state/planes.svelte'

const LATENTS = Float32Array.of(1, 2, -3, 0.5)
/** A quarter turn about (1, 0). */
const QUARTER = aligned({ latents: LATENTS, D: 2 }, [[0, 1], [-1, 0]], [1, 0])

const planes = (D: number, plane: Planes['plane']): Planes =>
  new Planes({ D, latents: LATENTS, count: LATENTS.length / D, tree: null, labels: null, manifest: {} } as unknown as Points, [plane])

describe('what was computed on the latent plane', () => {
  it('is on every plane that has all of it, where that has it', () => {
    expect(planes(2, identity(LATENTS)).turned!([3, 4])).toEqual([3, 4])
    expect(planes(2, axes(LATENTS, 2, 1, 0)).turned!([3, 4])).toEqual([4, 3])
    expect(planes(2, QUARTER).turned!([3, 4])).toEqual([-4, 2])
  })

  it('is on no other', () => {
    expect(planes(1, line(LATENTS)).turned).toBeNull()
    const slice = principal(new Float32Array(4), Float32Array.of(1, 0, 0, 1, 0, 0), new Float32Array(3))
    expect(planes(3, slice).turned).toBeNull()
    const film = planes(2, identity(LATENTS))
    film.show({ plane: identity(LATENTS), first: 0, end: 1 })
    expect(film.turned).toBeNull()
  })

  it('is drawn turned as the plane is', () => {
    let [transform, drawn] = [[] as number[], 0]
    const context = {
      clearRect() {}, save() {}, restore() {},
      transform: (...numbers: number[]) => (transform = numbers),
      drawImage: (_: unknown, x: number, y: number) => (expect([x, y]).toEqual([0, 0]), drawn++),
    } as unknown as CanvasRenderingContext2D
    const picture = { width: 4, height: 2 } as OffscreenCanvas
    const view = { scale: 10, x: 100, y: 50, width: 200, height: 100 }
    const at = (column: number, row: number): number[] => {
      const [a, b, c, d, e, f] = transform
      return [a * column + c * row + e, b * column + d * row + f]
    }
    drawLayer(context, view, { heat: { picture, box: { x: [0, 2], y: [0, 1] } } })
    expect([at(0, 0), at(4, 0), at(0, 2)]).toEqual([[100, 40], [120, 40], [100, 50]])
    drawLayer(context, view, { heat: { picture, box: { x: [0, 2], y: [0, 1] }, place: planes(2, QUARTER).turned! } })
    // (0, 1), (2, 1) and (0, 0) are at (−1, −1), (−1, 1) and (0, −1).
    expect([at(0, 0), at(4, 0), at(0, 2)]).toEqual([[90, 60], [90, 40], [100, 60]])
    expect(drawn).toBe(2)
  })
})
