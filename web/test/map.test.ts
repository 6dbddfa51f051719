import { describe, expect, test } from 'vitest'
import { classColours } from '../src/core/colours'
import { mse, signed } from '../src/core/difference'
import { ellipse } from '../src/core/ellipse'
import { kernel } from '../src/core/glyphs'
import { histogram, massLevel, outlines, smooth, volume } from '../src/core/grids'
import { islands } from '../src/core/islands'
import { nearestRows, PlaneIndex } from '../src/core/neighbours'
import { planar, rgba } from '../src/core/originals'
import { aligned, axes, embedding, extent, line, offSlice, principal, relaid } from '../src/core/plane'
import type { Manifest } from '../src/core/manifest'
import { medoids, Points } from '../src/core/points'
import { adaptiveAlpha, countVisible, rasterise } from '../src/core/raster'
import { entropy, mix, support, yardstick } from '../src/core/support'
import { levelFor, needed, parent, Recent, rowCells, sideFor, tileBox } from '../src/core/tiles'
import { fit, toPlane, toScreen, visible } from '../src/core/view'
import { code, describeProbe, fixed, listing } from '../src/core/words'
import { keyName } from '../src/state/commands.svelte'
import { Viewport } from '../src/state/viewport.svelte'

/** Numbers that look random and are the same every time. */
function sequence(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16807) % 2147483647) / 2147483647
}
const random = sequence(7)
const cloud = (count: number, D: number): Float32Array => Float32Array.from({ length: count * D }, random)

describe('views', () => {
  const view = fit({ x: [-2, 2], y: [-1, 1] }, 1000, 600, { left: 0, top: 50, right: 200, bottom: 0 })

  test('screen and plane undo each other, and up is up', () => {
    const [u, v] = toPlane(view, ...toScreen(view, 0.3, -0.7))
    expect([u, v]).toEqual([expect.closeTo(0.3), expect.closeTo(-0.7)])
    expect(toScreen(view, 0, 1)[1]).toBeLessThan(toScreen(view, 0, -1)[1])
  })

  test('what is fitted lies inside the insets, centred', () => {
    expect(toScreen(view, 0, 0)).toEqual([400, 325])
    expect(toScreen(view, -2, 0)[0]).toBeCloseTo(0)
    expect(toScreen(view, 2, 0)[0]).toBeCloseTo(800)
    expect(visible(view).x[1]).toBeCloseTo(3)
  })
})

describe('planes', () => {
  const D = 4
  const B = Float32Array.from([0.6, 0, 0.8, 0, 0, 1, 0, 0])
  const mean = Float32Array.from([1, 2, 3, 4])
  const plane = principal(new Float32Array(2), B, mean)

  test('an aligned plane is turned and shifted, decodes the code that lies there, and follows codes that move', () => {
    const turn = [[0, -1], [-1, 0]] // a reflection
    const plane = aligned({ latents: Float32Array.of(3, 5, 1, 1), D: 2 }, turn, [1, 1])
    expect([...plane.positions]).toEqual([-4, -2, 0, 0])
    expect(plane.ofLatent(plane.toLatent(-4, -2, null))).toEqual([-4, -2])
    expect([...plane.toLatent(-4, -2, null)]).toEqual([3, 5])
    const [moved] = relaid([plane], { latents: Float32Array.of(1, 2), D: 2 })
    expect([...moved.positions].map((value) => value + 0)).toEqual([-1, 0])
  })

  test('the principal plane holds the anchor and moves along its directions only', () => {
    const anchor = Float32Array.from([0.5, -1, 2, 9])
    const at = plane.ofLatent(anchor)!
    plane.toLatent(...at, anchor).forEach((value, d) => expect(value).toBeCloseTo(anchor[d]))
    const moved = plane.toLatent(0.7, -0.2, anchor)
    expect(plane.ofLatent(moved)![0]).toBeCloseTo(0.7)
    expect(plane.ofLatent(moved)![1]).toBeCloseTo(-0.2)
    expect(moved[3]).toBe(9)
  })

  test('the distance from a slice is that of the nearest point on it', () => {
    const latents = cloud(20, D)
    const on = Float32Array.from([0.1, 0.2, 0.3, 0.4])
    offSlice(latents, on, B).forEach((squared, n) => {
      const z = latents.slice(n * D, (n + 1) * D)
      const shadow = plane.toLatent(...plane.ofLatent(z)!, on)
      expect(squared).toBeCloseTo(z.reduce((sum, value, d) => sum + (value - shadow[d]) ** 2, 0), 5)
    })
  })

  test('two axes keep the others at the anchor', () => {
    const chosen = axes(cloud(5, D), D, 3, 1)
    expect([...chosen.toLatent(7, 8, mean)]).toEqual([1, 8, 3, 7])
    expect(chosen.ofLatent(mean)).toEqual([4, 2])
  })

  test('a line spreads its points but keeps their codes', () => {
    const latents = cloud(50, 1)
    const found = line(latents)
    expect([...found.positions.filter((_, i) => i % 2 === 0)]).toEqual([...latents])
    expect([...found.toLatent(0.3, 99, null)]).toEqual([expect.closeTo(0.3)])
    // the heights that Python reads regions with (tests/explore/test_regions.py)
    const heights = line(Float32Array.of(0, 1, 2, 4)).positions.filter((_, i) => i % 2)
    ;[-0.54, 0.127477, -0.28505, 0.382429].forEach((height, i) => expect(heights[i]).toBeCloseTo(height, 5))
  })

  test('an embedding decodes a point’s own place to its own code', () => {
    const positions = cloud(40, 2)
    const latents = cloud(40, D)
    const index = new PlaneIndex(positions)
    const nearest = (u: number, v: number, count: number): number[] =>
      index.nearest(u, v, count).map((near) => near.index)
    const z = embedding(positions, latents, D, nearest).toLatent(positions[10], positions[11], null)
    z.forEach((value, d) => expect(value).toBeCloseTo(latents[5 * D + d], 4))
  })

  test('the window leaves out the outermost points only', () => {
    const positions = Float32Array.from({ length: 4000 }, (_, i) => (i % 2 ? 0 : i / 4000))
    positions[0] = -1e6
    const { x } = extent(positions, 0)
    expect(x[0]).toBeGreaterThan(-0.1)
    expect(x[1]).toBeGreaterThan(0.99)
  })
})

describe('neighbours', () => {
  const rows = cloud(300, 3)
  const target = [0.5, 0.5, 0.5]
  const brute = (D: number, z: number[]): number[] =>
    Array.from({ length: rows.length / D }, (_, n) => n)
      .map((n) => ({ n, d: Math.hypot(...z.map((value, d) => rows[n * D + d] - value)) }))
      .sort((a, b) => a.d - b.d)
      .map(({ n }) => n)

  test('by rows: the nearest ones, in order', () => {
    const found = nearestRows(rows, 3, target, 10)
    expect(found.map(({ index }) => index)).toEqual(brute(3, target).slice(0, 10))
    expect(found[0].distance).toBeCloseTo(
      Math.hypot(...target.map((value, d) => rows[3 * found[0].index + d] - value)),
    )
  })

  test('on the plane: the same by the tree', () => {
    const found = new PlaneIndex(rows).nearest(0.5, 0.5, 7)
    expect(found.map(({ index }) => index)).toEqual(brute(2, [0.5, 0.5]).slice(0, 7))
  })

  test('an empty set has none', () => {
    expect(new PlaneIndex(new Float32Array()).within([-1, 1], [-1, 1])).toEqual([])
  })
})

test('support is the share of lonelier images', () => {
  const sorted = yardstick([4, 1, 3, 2])
  expect([0.5, 2.5, 9].map((distance) => support(sorted, distance))).toEqual([1, 0.5, 0])
})

test('shares of classes and their entropy', () => {
  const shares = mix([0, 1, 2, 3].map((index) => ({ index, distance: 0 })), [5, 5, 6, 5])
  expect(shares).toEqual([{ label: 5, share: 0.75 }, { label: 6, share: 0.25 }])
  expect(entropy(shares)).toBeCloseTo(-0.75 * Math.log(0.75) - 0.25 * Math.log(0.25))
})

test('ellipses: axis-aligned in the plane, and a projected one', () => {
  const flat = ellipse(Float32Array.of(2, 3), Float32Array.of(1, 0, 0, 1))
  expect([flat.major, flat.minor]).toEqual([3, 2])
  expect(Math.abs(flat.angle)).toBeCloseTo(Math.PI / 2)
  const turned = ellipse(Float32Array.of(2, 1), Float32Array.of(0.6, -0.8, 0.8, 0.6))
  expect([turned.major, turned.minor]).toEqual([expect.closeTo(2), expect.closeTo(1)])
  expect(Math.tan(turned.angle)).toBeCloseTo(-0.8 / 0.6)
})

describe('tiles', () => {
  const view = { scale: 37, x: 400, y: 300, width: 800, height: 600 }

  test('cells are at least as wide as asked and less than twice that', () => {
    for (const scale of [0.01, 1, 28, 29, 55.9, 56, 1e6]) {
      const cell = 2 ** levelFor({ ...view, scale }, 28) * scale
      expect(cell).toBeGreaterThanOrEqual(28 * (1 - 1e-12))
      expect(cell).toBeLessThan(56)
    }
  })

  test('those needed cover the screen, the nearest to the pointer first', () => {
    const level = levelFor(view, 28)
    const tiles = needed(view, level, 8, [5, 5])
    const { x, y } = visible(view)
    for (const [u, v] of [[x[0], y[0]], [x[1] - 1e-9, y[1] - 1e-9], [0, 0], [x[0], y[1] - 1e-9]])
      expect(tiles.some((tile) => inTile(tile, u, v))).toBe(true)
    expect(inTile(tiles[0], 5, 5)).toBe(true)
  })

  const inTile = (tile: { level: number; i: number; j: number }, u: number, v: number): boolean => {
    const [left, bottom, width] = tileBox(tile, 8)
    return u >= left && u < left + width && v >= bottom && v < bottom + width
  }

  test('rows of cells go from the top left, and parents contain their children', () => {
    const tile = { level: -1, i: -3, j: 2 }
    expect(rowCells(tile, 2, 0)).toEqual([[-2.75, 2.75], [-2.25, 2.75]])
    expect(rowCells(tile, 2, 1)[0]).toEqual([-2.75, 2.25])
    expect(parent(tile)).toEqual({ level: 0, i: -2, j: 1 })
  })

  test('blocks stay about 256 pixels wide', () => {
    expect([28, 32, 64, 128, 512].map(sideFor)).toEqual([8, 8, 4, 2, 1])
  })

  test('the values used last are kept', () => {
    const kept = new Recent<number>(2)
    kept.set('a', 1)
    kept.set('b', 2)
    kept.get('a')
    kept.set('c', 3)
    expect([kept.get('a'), kept.get('b'), kept.get('c')]).toEqual([1, undefined, 3])
  })
})

describe('points to pixels', () => {
  const view = { scale: 10, x: 8, y: 8, width: 16, height: 16 }
  const style = {
    colours: Uint8Array.of(255, 0, 0, 0, 0, 255),
    alphas: Uint8Array.of(128, 128),
    kernels: [0, 0].map(() => ({ size: 1, mask: Uint8Array.of(255) })),
  }
  const drawn = (positions: number[], kinds: number[], more = {}): Uint8ClampedArray => {
    const target = { data: new Uint8ClampedArray(4 * 256), width: 16, height: 16 }
    rasterise(target, Float32Array.from(positions), kinds, { ...style, ...more }, view)
    return target.data
  }
  const pixel = (data: Uint8ClampedArray, x: number, y: number): number[] => [
    ...data.subarray(4 * (16 * y + x), 4 * (16 * y + x) + 4),
  ]

  test('a point lands on its pixel and nowhere else', () => {
    const data = drawn([0.3, 0.5], [0])
    expect(pixel(data, 11, 3)).toEqual([255, 0, 0, 128])
    expect(data.reduce((sum, value) => sum + value)).toBe(383)
  })

  test('one over another is composited as colours are', () => {
    const [r, , b, a] = pixel(drawn([0, 0, 0, 0], [0, 1]), 8, 8)
    const alpha = 128 / 255
    const total = alpha + alpha * (1 - alpha)
    expect(a).toBeCloseTo(255 * total, -0.5)
    expect(Math.abs(b - (255 * alpha) / total)).toBeLessThan(2)
    expect(Math.abs(r - (255 * alpha * (1 - alpha)) / total)).toBeLessThan(2)
  })

  test('hidden kinds and points off the screen leave nothing', () => {
    expect(drawn([0, 0], [0], { alphas: Uint8Array.of(0, 0) }).every((value) => value === 0)).toBe(true)
    expect(drawn([90, 0, 0, -90], [0, 0]).every((value) => value === 0)).toBe(true)
  })

  test('a large disc is cut at the edge', () => {
    const data = drawn([-0.8, 0.8], [0], { kernels: [kernel(0, 4)] })
    expect(pixel(data, 0, 0)[3]).toBe(128)
    expect(pixel(data, 15, 0)[3]).toBe(0)
  })

  test('shapes: a disc has its area, and all ten differ', () => {
    const area = kernel(0, 6).mask.reduce((sum, value) => sum + value) / 255
    expect(area).toBeCloseTo(Math.PI * (0.95 * 6) ** 2, -1)
    const masks = Array.from({ length: 10 }, (_, shape) => kernel(shape, 5).mask.join())
    expect(new Set(masks).size).toBe(10)
    masks.forEach((mask) => expect(mask).toMatch(/255/))
  })

  test('counting the visible, and crowds become more transparent', () => {
    expect(countVisible(Float32Array.of(0, 0, 5, 0, -0.7, 0.7), view)).toBe(2)
    expect(adaptiveAlpha(10, 2, view)).toBeGreaterThan(adaptiveAlpha(1000, 2, view))
  })
})

test('the medoid of a class is its point nearest to the mean, the largest class first', () => {
  const positions = Float32Array.of(9, 9, 0, 0, 1, 0, 5, 0, 2, 1)
  const about = { classes: ['few', 'many', 'none'], train: 5, test: 0 }
  const manifest = { data: about, model: { latent: 2 } } as unknown as Manifest
  const points = new Points(manifest, positions, null, Uint8Array.of(0, 1, 1, 1, 1), null)
  const found = medoids(positions, points)
  expect(found.map(({ label, index }) => [label, index])).toEqual([[1, 4], [0, 0]])
  expect(medoids(positions, points, 1, 3).map(({ index }) => index)).toEqual([1])
})

describe('grids', () => {
  test('points are counted in the cell they lie in, the top row first', () => {
    const counts = histogram(Float32Array.of(0.1, 0.9, 0.9, 0.1, 2, 2), { x: [0, 1], y: [0, 1] }, 2, () => true)
    expect([...counts.values]).toEqual([1, 0, 0, 1])
  })

  test('smoothing keeps the mass and spreads it evenly', () => {
    const values = new Float32Array(31 * 31)
    values[15 * 31 + 15] = 1
    const smoothed = smooth({ rows: 31, columns: 31, values, box: { x: [0, 1], y: [0, 1] } }, 2).values
    expect(smoothed.reduce((sum, value) => sum + value)).toBeCloseTo(1, 5)
    expect(smoothed[15 * 31 + 18]).toBeCloseTo(smoothed[18 * 31 + 15], 7)
    expect(smoothed[15 * 31 + 18] / smoothed[15 * 31 + 15]).toBeCloseTo(Math.exp(-9 / 8), 5)
  })

  test('the level that holds half the mass', () => {
    expect(massLevel(Float32Array.of(1, 5, 2, 2), 0.5)).toBe(5)
    expect(massLevel(Float32Array.of(1, 5, 2, 2), 0.7)).toBe(2)
  })

  test('outlines of a bump are a circle around it, the right way up', () => {
    const side = 64
    const values = Float32Array.from({ length: side * side }, (_, i) =>
      Math.exp(-(((i % side) - 31.5) ** 2 + (Math.floor(i / side) - 15.5) ** 2) / 128),
    )
    const [ring] = outlines({ rows: side, columns: side, values, box: { x: [0, 64], y: [0, 64] } }, Math.exp(-0.5))
    for (const [u, v] of ring) expect(Math.hypot(u - 32, v - 48)).toBeCloseTo(8, 0)
  })

  test('√det G', () => {
    expect([...volume(Float32Array.of(4, 0, 9, 2, 2, 2))]).toEqual([6, 0])
  })
})

test('images: rows of channels to pixels and back', () => {
  const colour = Float32Array.from([0, 1, 0.2, 0.4, 1, 0])
  expect([...rgba(colour, 3, 2)]).toEqual([0, 51, 255, 255, 255, 102, 0, 255])
  planar(rgba(colour, 3, 2), 3).forEach((value, i) => expect(value).toBeCloseTo(colour[i], 2))
  expect([...rgba([0, 1], 1, 2)]).toEqual([0, 0, 0, 255, 255, 255, 255, 255])
})

test('differences: orange where something is missing, blue where it was added', () => {
  const [r, , b] = signed([1], [0], 1, 1)
  const [r2, , b2] = signed([0], [1], 1, 1)
  expect(r > b && b2 > r2).toBe(true)
  expect(mse([0, 1], [0, 0])).toBe(0.5)
})

test('classes beyond the palette get colours of their own', () => {
  const colours = classColours(['#3f90da'], 200)
  expect(colours[0]).toBe('#3f90da')
  expect(new Set(colours).size).toBe(200)
  colours.forEach((colour) => expect(colour).toMatch(/^#[0-9a-f]{6}$/))
})

test('numbers in words', () => {
  expect([fixed(-1.2), fixed(-0.001), code([0.31, -1.2])]).toEqual(['−1.20', '0.00', '0.31, −1.20'])
  expect(code([1, 2, 3, 4, 5, 6, 7])).toMatch(/6\.00, …$/)
})

describe('the map and the panels', () => {
  /** A map of evenly spread images, fitted into 800 × 600 without panels. */
  function fitted(): Viewport {
    const share = ({ x, y }: { x: number[]; y: number[] }): number => {
      const inside = ([lo, hi]: number[]): number => Math.max(0, Math.min(hi, 1) - Math.max(lo, -1)) / 2
      return 1 - inside(x) * inside(y)
    }
    const viewport = new Viewport(() => ({ x: [-1, 1], y: [-1, 1] }), share)
    viewport.view = { scale: 1, x: 0, y: 0, width: 800, height: 600 }
    viewport.camera = { show: (view) => void ((viewport.view = view), (viewport.fitted = false)), zoom: () => {} }
    viewport.fit(0)
    return viewport
  }
  const dock = (height: number) => ({ left: 0, top: 0, right: 0, bottom: height })

  test('a dock that covers a few images leaves the map where it is', () => {
    const viewport = fitted()
    viewport.insets = dock(29) // 4.8 % of the height
    viewport.makeRoom()
    expect(viewport.view.scale).toBe(300)
  })

  test('one that covers many makes it smaller, and gives the room back', () => {
    const viewport = fitted()
    viewport.insets = dock(300)
    viewport.makeRoom()
    expect(viewport.view.scale).toBe(150)
    viewport.insets = dock(0)
    viewport.makeRoom()
    expect(viewport.view.scale).toBe(300)
  })

  test('a map that was touched stays; only a place under a panel is brought out', () => {
    const viewport = fitted()
    viewport.touched = true
    viewport.insets = dock(300)
    viewport.makeRoom()
    expect(viewport.view.scale).toBe(300)
    viewport.reveal(0, 0.9)
    expect(viewport.view.y).toBe(300)
    viewport.reveal(0.5, -0.5)
    expect(viewport.toScreen(0.5, -0.5)).toEqual([550, 276])
    expect(viewport.fitted).toBe(true)
  })

  test('a snapshot stands in the middle at the scale of the whole', () => {
    const viewport = fitted()
    viewport.centre({ x: [-0.8, -0.4], y: [0, 0.2] }, 0)
    expect(viewport.toScreen(-0.6, 0.1)).toEqual([expect.closeTo(400), expect.closeTo(300)])
    expect(viewport.view.scale).toBe(300)
  })
})

describe('names of classes that move', () => {
  const manifest = { data: { classes: ['ring', 'two', 'none'] } }
  const turn = sequence(3)
  /** A ring about the origin, a class in two heaps of 300 and 100 and one far off, and an image before them. */
  const places = [
    [9, 9],
    ...Array.from({ length: 600 }, () => turn() * 2 * Math.PI).map((angle) => [Math.cos(angle), Math.sin(angle)]),
    ...Array.from({ length: 300 }, () => [-2 + 0.2 * turn(), 2 + 0.2 * turn()]),
    ...Array.from({ length: 100 }, () => [2 + 0.2 * turn(), -2 + 0.2 * turn()]),
    [3, 3],
  ]
  const labels = Uint16Array.from(places, (_, n) => (n <= 600 ? 0 : 1))
  const points = { labels, count: places.length, manifest } as unknown as Points
  const found = islands(Float32Array.from(places.flat()), points, 1)

  test('stand on an image of their class, never in the hole of a ring', () => {
    const [{ label, index, at }] = found
    expect(label).toBe(0)
    expect(at).toEqual([expect.closeTo(places[index][0]), expect.closeTo(places[index][1])])
    expect(Math.hypot(...at)).toBeCloseTo(1, 5)
  })

  test('are on both pieces of a class in two, the larger first, and on no lonely image', () => {
    const two = found.filter(({ label }) => label === 1)
    expect(two.map(({ at }) => Math.sign(at[0]))).toEqual([-1, 1])
    expect(two.every(({ index }) => labels[index] === 1)).toBe(true)
    expect(found.some(({ label }) => label === 2)).toBe(false)
  })
})

test('the probe in words', () => {
  const points = {
    className: () => 'Ankle boot',
    say: (z: Float32Array) => `z ${code(z)}`,
    manifest: { data: { classes: ['Ankle boot'] } },
  } as unknown as Parameters<typeof describeProbe>[2]
  const facts = { nearest: { index: 0, distance: 0.04 }, mix: [{ label: 0, share: 0.92 }], extrapolation: false }
  expect(describeProbe(Float32Array.of(0.31, -1.2), facts, points)).toBe(
    'z 0.31, −1.20. Nearest: Ankle boot, 0.04 away. Neighbours 92\u00a0% Ankle boot.',
  )
})

test('names of key presses', () => {
  const press = (key: string, more: object = {}): string =>
    keyName({ key, code: '', altKey: false, shiftKey: false, ctrlKey: false, metaKey: false, ...more } as KeyboardEvent)
  expect(press('r')).toBe('R')
  expect(press('R', { shiftKey: true })).toBe('Shift+R')
  expect(press('?', { shiftKey: true })).toBe('?')
  expect(press('k', { metaKey: true })).toBe('Ctrl+K')
  expect(press('¡', { altKey: true, code: 'Digit1' })).toBe('Alt+1')
})

test('names that a file system sorted are listed as numbers are; others stay as given', () => {
  expect(listing(['1', '10', '2'])).toEqual([0, 2, 1])
  expect(listing(['cat 1', 'cat 11', 'cat 2', 'dog'])).toEqual([0, 2, 1, 3])
  expect(listing(['T-shirt/top', 'Trouser', 'Pullover', '10', '2'])).toEqual([0, 1, 2, 3, 4])
})
