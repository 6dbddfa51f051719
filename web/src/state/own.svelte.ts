/** The person's own picture: prepared as the training images were, encoded, decoded again. */

import type { Indices } from '../core/codes'
import { mse } from '../core/difference'
import { lookOf, type Look } from '../core/look'
import type { Neighbour } from '../core/neighbours'
import { fromRGBA, percentile, prepare, type Raster, type Stage, type Steps, USUAL } from '../core/picture'
import { mix, VOTERS, type Share } from '../core/support'
import type { Point } from '../core/view'
import { fly } from '../map/flight'
import type { Explorer } from './explorer.svelte'

export interface Result {
  z: Float32Array
  sigma: Float32Array | null
  codes: Indices | null
  image: Float32Array
  reconstruction: Float32Array
  /** Mean squared error per pixel, and where it stands among the test images, in percent. */
  mse: number
  rank: number
  nearest: Neighbour[]
  /** Classes of the images nearest to it. */
  mix: Share[]
}

/** Larger pictures are made smaller first: every detail is lost in a thumbnail anyhow. */
const LONGEST = 1024
const NEIGHBOURS = 6
const LOOKED_AT = 120

export class Own {
  picture = $state.raw<Raster | null>(null)
  name = $state('')
  steps = $state<Steps>({ greyscale: true, invert: null, crop: false, grade: null })
  /** Whether the picture is drawn: its code is followed on the map, and pinned when asked. */
  drawing = $state(false)
  result = $state.raw<Result | null>(null)
  problem = $state('')
  private run = 0

  constructor(private readonly explorer: Explorer) {}

  readonly stages: Stage[] = $derived.by(() =>
    this.picture ? prepare(this.picture, this.explorer.manifest.data.shape, this.steps, this.look) : [],
  )

  /** How the images of the set look: their background as the run recorded it, the rest from some that the page carries. */
  readonly look: Look = $derived.by(() => {
    const { networks, manifest } = this.explorer
    const { originals } = networks
    const [C, height, width] = manifest.data.shape
    const background = manifest.data.preparation.background
    if (!originals || C !== 1) return { ...USUAL, bright: background === 'bright', background }
    const stride = Math.max(1, Math.floor(originals.count / LOOKED_AT))
    const some = Array.from({ length: Math.min(LOOKED_AT, originals.count) }, (_, n) => originals.first + n * stride)
    return { ...lookOf(some.map((index) => originals.pixels(index)!), height, width), background }
  })

  /** Reads a picture from a file, the clipboard or a drop. */
  async read(file: Blob, name: string): Promise<void> {
    this.problem = ''
    this.steps.invert = null
    this.steps.grade = null
    this.steps.crop = false
    this.drawing = false
    try {
      const bitmap = await createImageBitmap(file)
      this.take(rasterOf(bitmap, this.explorer.manifest.data.preparation.backdrop), name)
    } catch {
      this.problem = `“${name}” is not a picture this browser can read. Try PNG, JPEG or WebP.`
      this.explorer.announce(this.problem)
    }
  }

  /** Takes what has been drawn so far: light marks on black, somewhere on a large pad, so it is cropped. */
  draw(picture: Raster): void {
    this.steps.invert = null
    if (this.steps.grade === null) Object.assign(this.steps, { grade: true, crop: true })
    this.drawing = true
    this.take(picture, 'your drawing')
  }

  take(picture: Raster, name: string): void {
    this.name = name
    this.picture = picture
  }

  /** Encodes the prepared picture; a newer call overtakes an older one. */
  async encode(): Promise<void> {
    const run = ++this.run
    const { explorer, stages } = this
    const image = stages.at(-1)?.raster.data
    if (!image || explorer.networks.state !== 'ready') return
    const { mean, logVar, codes } = await explorer.networks.encode(image)
    const { codebook } = explorer.points
    const z = codebook && codes ? codebook.lookup(codes) : mean
    const reconstruction = await explorer.networks.decode(z)
    if (run !== this.run) return
    const error = mse(image, reconstruction)
    this.result = {
      z,
      codes: codes && Uint16Array.from(codes),
      sigma: logVar && logVar.map((value) => Math.exp(value / 2)),
      image,
      reconstruction,
      mse: error,
      rank: percentile(explorer.manifest.percentiles, error),
      nearest: explorer.points.nearest(z, NEIGHBOURS, explorer.carried),
      mix: mix(explorer.points.nearest(z, VOTERS), explorer.points.labels),
    }
    if (this.drawing) this.reveal()
    explorer.surface.redraw()
  }

  /** Brings the place of the picture between the panels. */
  private reveal(): void {
    const at = this.result && this.explorer.planes.ofLatent(this.result.z)
    if (at) this.explorer.viewport.reveal(...at)
  }

  /** Whether the picture is on the map as a pin. */
  get pinned(): boolean {
    return this.explorer.pins.list.some(({ z }) => z === this.result?.z)
  }

  /** Flies from a place on the screen to the code, and pins it there. */
  async land(from: Point): Promise<void> {
    const { result, explorer } = this
    if (!result) return
    const target = explorer.planes.ofLatent(result.z)
    this.reveal()
    if (target) await fly(explorer, from, target)
    const { z, image, sigma, codes } = result
    await explorer.pins.add({ z, label: this.name, original: image, sigma, codes })
  }
}

function rasterOf(bitmap: ImageBitmap, backdrop: number | null): Raster {
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height))
  const width = Math.max(1, Math.round(bitmap.width * scale))
  const height = Math.max(1, Math.round(bitmap.height * scale))
  const context = new OffscreenCanvas(width, height).getContext('2d')!
  context.imageSmoothingQuality = 'high'
  context.drawImage(bitmap, 0, 0, width, height)
  bitmap.close()
  return fromRGBA(context.getImageData(0, 0, width, height).data, width, height, backdrop)
}

const all = new WeakMap<Explorer, Own>()

export function ownOf(explorer: Explorer): Own {
  const known = all.get(explorer) ?? new Own(explorer)
  all.set(explorer, known)
  return known
}
