import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { identity } from '../src/core/plane'
import { Background } from '../src/map/background'
import { Journey } from '../src/map/journey'
import type { Explorer } from '../src/state/explorer.svelte'

/** A browser of 60 frames a second, whose canvases note what is put into them. */
const puts: [number, number][] = []
beforeEach(() => {
  puts.length = 0
  vi.useFakeTimers({ toFake: ['performance'] })
  const waiting = new Map<number, (now: number) => void>()
  let last = 0
  vi.stubGlobal('requestAnimationFrame', (call: (now: number) => void) => (waiting.set(++last, call), last))
  vi.stubGlobal('cancelAnimationFrame', (id: number) => waiting.delete(id))
  vi.stubGlobal('matchMedia', () => ({ matches: false }))
  vi.stubGlobal('frame', () => {
    vi.advanceTimersByTime(1000 / 60)
    const calls = [...waiting.values()]
    waiting.clear()
    for (const call of calls) call(performance.now())
    return calls.length
  })
  vi.stubGlobal('ImageData', class {})
  vi.stubGlobal('OffscreenCanvas', class {
    getContext = () => ({ putImageData: (_: unknown, x: number, y: number) => puts.push([x, y]) })
  })
})
afterEach(() => (vi.useRealTimers(), vi.unstubAllGlobals()))

/** How often the points move on their way to another plane, and where they end. */
function travelled(pace: number | null): { moves: number; last: number[] } {
  const explorer = { planes: { pace, plane: identity(Float32Array.of(0, 0)) } } as unknown as Explorer
  let moves = 0
  const journey = new Journey(explorer, () => moves++)
  journey.to(identity(Float32Array.of(4, 2)))
  while ((globalThis as unknown as { frame: () => number }).frame());
  return { moves, last: Array.from(journey.positions) }
}

describe('points on their way', () => {
  it('move at every frame of the browser, and 30 times a second while a training plays', () => {
    const [alone, playing] = [travelled(null), travelled(180)]
    expect(alone.moves).toBe(43) // 700 ms
    expect(playing.moves).toBe(6) // 180 ms
    expect([alone.last, playing.last]).toEqual([[4, 2], [4, 2]])
  })
})

describe('the background', () => {
  const rows = (pace: number | null): number[] => {
    const plane = identity(Float32Array.of(0, 0))
    const explorer = {
      manifest: { data: { shape: [1, 28, 28] } },
      planes: { plane, pace, snapshot: null },
      pins: { pin: null },
      networks: { condition: 0 },
      probe: { at: null },
      points: { D: 2 },
      viewport: { toPlane: () => [0, 0] },
      toLatent: (u: number, v: number) => Float32Array.of(u, v),
    } as unknown as Explorer
    const background = new Background(explorer, () => {})
    background.plan({ scale: 30, x: 1, y: 1, width: 200, height: 200 })
    const asked: number[] = []
    for (let tile = 0; tile < 64; ) {
      const job = background.next()!
      asked.push(job.count)
      tile += job.count
      job.done(new Float32Array(28 * 28 * job.count))
    }
    return asked
  }

  it('is decoded row by row, and many rows at once while a training plays', () => {
    for (const [pace, counts] of [[null, Array(8).fill(8)], [180, [32, 32]]] as const) {
      puts.length = 0
      expect(rows(pace)).toEqual(counts)
      const places = Array.from({ length: 64 }, (_, n) => [28 * (n % 8), 28 * Math.floor(n / 8)])
      expect(puts).toEqual(places)
    }
  })
})
