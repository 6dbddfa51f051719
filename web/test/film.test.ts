import { describe, expect, test, vi } from 'vitest'
import { snapshotName, planeAt, trail } from '../src/core/film'
import type { FilmEntry, Manifest } from '../src/core/manifest'
import { PlaneIndex } from '../src/core/neighbours'
import { identity, line, relaid, axes, principal, embedding } from '../src/core/plane'
import { cutWeights, readCheckpoint } from '../src/core/weights'
import { ServerPort } from '../src/engine/server'
import type { FromWorker } from '../src/engine/protocol'

const film: FilmEntry = {
  first: 1,
  count: 2,
  snapshots: [
    { step: 0, epoch: 0 },
    { step: 3, epoch: 0.25 },
    { step: 1200, epoch: 10 },
  ],
  weights: [],
}

describe('a snapshot of the film', () => {
  test('moves its own images and leaves the others where they are', () => {
    const plane = identity(Float32Array.of(0, 0, 1, 1, 2, 2))
    const places = Float32Array.of(10, 11, 12, 13, 20, 21, 22, 23)
    const second = planeAt(plane, film, places, 1)
    expect([...second.positions]).toEqual([0, 0, 20, 21, 22, 23])
    expect(second.id).toBe('film-3')
    expect([...plane.positions]).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('keeps the height of points on a line', () => {
    const plane = line(Float32Array.of(0, 1, 2))
    const moved = planeAt(plane, film, Float32Array.of(5, 6, 7, 8), 0)
    expect([...moved.positions]).toEqual([0, plane.positions[1], 5, plane.positions[3], 6, plane.positions[5]])
  })

  test('is one of those that an image went through', () => {
    const plane = identity(Float32Array.of(0, 0, 1, 1, 2, 2))
    const places = Float32Array.of(10, 11, 12, 13, 20, 21, 22, 23)
    expect(trail(plane, film, places, 2)).toEqual([[12, 13], [22, 23], [2, 2]])
    const flat = line(Float32Array.of(0, 1, 2))
    const height = flat.positions[3]
    expect(trail(flat, film, Float32Array.of(5, 6, 7, 8), 1)).toEqual([[5, height], [7, height], [1, height]])
  })

  test('has a name', () => {
    expect(snapshotName(film.snapshots[1])).toBe('Step 3, epoch 0.25')
    expect(snapshotName(film.snapshots[2])).toBe('Step 1,200, epoch 10')
  })
})

test('an index of a part of the points gives their own numbers', () => {
  const index = new PlaneIndex(Float32Array.of(0, 0, 5, 0, 1, 0, 9, 9), 1, 3)
  expect(index.nearest(0, 0, 4).map((near) => near.index)).toEqual([2, 1])
  expect(index.nearest(0, 0, 1, (n) => n !== 2)[0]).toEqual({ index: 1, distance: 5 })
  expect(index.within([0, 2], [-1, 1])).toEqual([2])
})

describe('what a training has learned', () => {
  const shapes: [string, number[]][] = [['w', [2, 2]], ['b', [1]]]

  test('weights are cut in order', () => {
    const [w, b] = cutWeights(Float32Array.of(1, 2, 3, 4, 5), shapes)
    expect([w.name, w.shape, [...w.data], [...b.data]]).toEqual(['w', [2, 2], [1, 2, 3, 4], [5]])
  })

  test('weights, codes and spreads are told apart, and a wrong length is refused', () => {
    const numbers = Float32Array.of(1, 2, 3, 4, 5, 10, 11, 20, 21)
    const found = readCheckpoint(numbers, [shapes], 2)
    expect([[...found.latents], [...found.logVars!]]).toEqual([[10, 11], [20, 21]])
    expect(readCheckpoint(numbers.slice(0, 7), [shapes], 2).logVars).toBeNull()
    expect(() => readCheckpoint(numbers.slice(0, 8), [shapes], 2)).toThrow('Expected')
    expect(() => readCheckpoint(numbers.slice(0, 6), [shapes], 2)).toThrow('Expected')
  })
})

test('planes follow codes that moved, and a map without a formula is left out', () => {
  const D = 3
  const before = Float32Array.of(0, 0, 0, 1, 1, 1)
  const latents = Float32Array.of(1, 2, 3, 4, 5, 6)
  const basis = Float32Array.of(1, 0, 0, 1, 0, 0)
  const pca = principal(new Float32Array(4), basis, Float32Array.of(1, 1, 1))
  const umap = embedding(new Float32Array(4), before, D, () => [0])
  const found = relaid([pca, umap, axes(before, D, 0, 2)], { latents, D })
  expect(found.map(({ id }) => id)).toEqual(['pca', 'axes-0-2'])
  expect([...found[0].positions]).toEqual([0, 1, 3, 4])
  expect([...found[1].positions]).toEqual([1, 3, 4, 6])
  expect([...relaid([identity(before)], { latents, D: 2 })[0].positions]).toEqual([...latents])
})

describe('a server in the worker’s place', () => {
  const manifest = { model: { latent: 2 } } as unknown as Manifest

  async function heard(ask: (port: ServerPort) => void): Promise<FromWorker> {
    const port = new ServerPort(manifest)
    const answer = new Promise<FromWorker>((done) => (port.onmessage = ({ data }) => done(data)))
    ask(port)
    return answer
  }
  const input = (name: string, shape: number[], ...data: number[]) => ({ name, shape, data: Float32Array.from(data) })

  test('decodes rows of codes, told the class', async () => {
    const fetched = vi.fn(async () => new Response(Float32Array.of(7, 8).buffer))
    vi.stubGlobal('fetch', fetched)
    const inputs = [input('z', [2, 2], 1, 2, 3, 4), input('c', [2, 3], 0, 1, 0, 0, 0, 1)]
    const found = await heard((port) => port.postMessage({ kind: 'run', id: 5, network: 'decoder', inputs, outputs: ['x'] }))
    expect(found).toEqual({ kind: 'result', id: 5, outputs: [Float32Array.of(7, 8)] })
    const [path, { body }] = fetched.mock.calls[0] as unknown as [string, { body: string }]
    expect([path, JSON.parse(body)]).toEqual(['decode', { z: [[1, 2], [3, 4]], c: [1, 2] }])
    vi.unstubAllGlobals()
  })

  test('encodes into means and spreads', async () => {
    vi.stubGlobal('fetch', async () => new Response(Float32Array.of(1, 2, 3, 4).buffer))
    const inputs = [input('x', [1, 1, 1, 1], 0.5)]
    const found = await heard((port) =>
      port.postMessage({ kind: 'run', id: 1, network: 'encoder', inputs, outputs: ['mean', 'log_var'] }),
    )
    expect(found).toEqual({ kind: 'result', id: 1, outputs: [Float32Array.of(1, 2), Float32Array.of(3, 4)] })
    vi.unstubAllGlobals()
  })

  test('says what the server refused', async () => {
    vi.stubGlobal('fetch', async () => new Response('', { status: 413 }))
    const found = await heard((port) =>
      port.postMessage({ kind: 'run', id: 1, network: 'decoder', inputs: [input('z', [1, 2], 0, 0)], outputs: ['x'] }),
    )
    expect(found).toEqual({ kind: 'failed', id: 1, message: 'The server answered 413.' })
    vi.unstubAllGlobals()
  })
})
